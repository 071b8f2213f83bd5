"""The mutants of the scripts of transactional events."""

from tests.support.mutants.mutant import Mutant

DEADLINES, GIVEN_UP, MALFORMED = "test_transaction_deadlines", "test_given_up_runs", "test_malformed_transactions"
LOST_REPLIES, ROLLED_BACK = "test_lost_replies", "test_rolled_back_store"
TOGETHER, SETTLED_TOGETHER = "test_submitted_together", "test_settled_together"

MUTANTS = (
    Mutant(
        "an expired event starts",
        "txn_claim",
        "if now_ms <= txn.deadline then return start(",
        "if true then return start(",
        DEADLINES,
    ),
    Mutant(
        "a late packet claims", "txn_claim", "if tonumber(claim) <= tonumber(before) then", "if false then", DEADLINES
    ),
    Mutant("a late outcome counts", "txn_settle", "and now_ms <= txn.deadline then", "then", DEADLINES),
    Mutant(
        "a success is confirmed at any time",
        "lib/transactions",
        "now_ms <= txn.deadline + txn.confirm_window",
        "true",
        DEADLINES,
    ),
    Mutant(
        "a run is given back after its deadline", "txn_give_back", "and now_ms <= txn.deadline then", "then", DEADLINES
    ),
    Mutant(
        "one sender that leaves abandons for all",
        "txn_abandon",
        "> 0 then return {'left', ''} end",
        "> 99 then return end",
        DEADLINES,
    ),
    Mutant(
        "an event that fails ends the submission of others",
        "txn_submit",
        "local is_done, reply = pcall(submit, SHARED + 1 + (n - 1) * ARGUMENTS)",
        "local is_done, reply = true, submit(SHARED + 1 + (n - 1) * ARGUMENTS)",
        TOGETHER,
    ),
    Mutant(
        "an event that fails ends the confirmation of others",
        "txn_confirm",
        "local is_done, reply = pcall(confirm_round, ARGV[at], ARGV[at + 1])",
        "local is_done, reply = true, confirm_round(ARGV[at], ARGV[at + 1])",
        TOGETHER,
    ),
    Mutant("one submission opens more than the limit", "txn_submit", "room = room - 1", "", TOGETHER),
    Mutant("one submission wakes one worker", "txn_submit", "wake_workers(#submitted)", "wake_workers(1)", TOGETHER),
    Mutant("events submitted together have one number", "txn_submit", "number + n)", "number + 1)", TOGETHER),
    Mutant("another round is confirmed", "txn_confirm", "or txn.round ~= round", "", DEADLINES),
    Mutant(
        "every stale outcome undoes again",
        "txn_settle",
        "if not was_given_up and not is_first then return end",
        "",
        GIVEN_UP,
    ),
    Mutant(
        "a second asking forgets what was given up",
        "lib/events",
        "'closed_at', 'outcome', 'row', 'line:')\n",
        "'closed_at', 'outcome', 'row', 'line:', 'given_up')\n",
        GIVEN_UP,
    ),
    Mutant(
        "a run presumed dead is not remembered",
        "txn_bury",
        "mark_given_up(id, run_of(txn.round, txn.worker, txn.claim))",
        "",
        GIVEN_UP,
    ),
    Mutant(
        "a late effect is forgotten in a later round",
        "lib/transactions",
        "undo = join_jobs(undo, record[2])",
        "",
        GIVEN_UP,
    ),
    Mutant(
        "another run's undo is dropped", "txn_settle", "join_jobs(undo_jobs, unfinished_jobs())", "undo_jobs", GIVEN_UP
    ),
    Mutant(
        "an effect beside a success is undone",
        "lib/transactions",
        "call('HDEL', EVENT .. id, 'given_up', 'late_undo')",
        "call('TIME')",
        GIVEN_UP,
    ),
    Mutant(
        "a lost outcome counts as a claim that did not start",
        "txn_claim",
        "if held == last then",
        "if false then",
        ROLLED_BACK,
    ),
    Mutant(
        "the effect of a lost claim stands",
        "txn_settle",
        "if not was_given_up and not is_first then return end",
        "if not was_given_up then return end",
        ROLLED_BACK,
    ),
    Mutant("a missing field has no value", "lib/transactions", "values[i] or DEFAULTS[name]", "values[i]", MALFORMED),
    Mutant(
        "an unreadable transaction stops the others",
        "lib/transactions",
        "local is_done, result = pcall(act)",
        "local is_done, result = true, act()",
        MALFORMED,
    ),
    Mutant(
        "a response of another round counts as lost", "txn_lost", "'confirmed') == round", "'decision')", LOST_REPLIES
    ),
    Mutant(
        "a late outcome in a batch meets what is not written yet",
        "txn_settle",
        "write_collected()  -- an earlier run of the same event may be among them",
        "",
        GIVEN_UP,
    ),
    Mutant(
        "a batch closes its last event alone",
        "txn_settle",
        "count_closed(outcome, event_ids) end",
        "end",
        SETTLED_TOGETHER,
    ),
    Mutant(
        "a batch tells the process of its last event",
        "lib/transactions",
        "replies[process] = replies[process] or {}",
        "replies[process] = {}",
        SETTLED_TOGETHER,
    ),
    Mutant(
        "a batch lists the last decision",
        "lib/transactions",
        "decided[state] = decided[state] or {txn.retention}",
        "decided[state] = {txn.retention}",
        SETTLED_TOGETHER,
    ),
    Mutant(
        "one run of a batch ends the others",
        "txn_settle",
        "local is_done, reply = pcall(settle, run)",
        "local is_done, reply = true, settle(run)",
        SETTLED_TOGETHER,
    ),
    Mutant("a batch shows no started job", "txn_claim", "if #started > 0 then", "if false then", SETTLED_TOGETHER),
)
