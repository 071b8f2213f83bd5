"""The mutants: each is one change of a script that the named tests must notice."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "shared" / "scripts"
LEASES, EXCHANGE, SWEEP = "test_leases", "test_exchange", "test_sweep"
DEADLINES, GIVEN_UP, MALFORMED = "test_transaction_deadlines", "test_given_up_runs", "test_malformed_transactions"
ORDER, GROUPS, BULK, ERASED = "test_order", "test_failure_groups", "test_bulk_races", "test_erased_groups"
RQ_TOOLS, LOST_REPLIES, ACCEPT, OUT_OF_TURN = "test_rq_tools", "test_lost_replies", "test_accept", "test_order_failures"
LIMIT, ROLLED_BACK, TOGETHER = "test_open_event_limit", "test_rolled_back_store", "test_submitted_together"


class Mutant(NamedTuple):
    """Replaces `before`, which the script contains once, by `after`."""

    name: str
    script: str
    before: str
    after: str
    tests: str


MUTANTS = (
    Mutant(
        "a turn does not wait for unrouted events",
        "lib/ordering",
        "tonumber(unrouted[2]) < tonumber(first[2])",
        "false",
        ORDER,
    ),
    Mutant("a job runs out of turn", "lib/ordering", "has_turn(job_id, queue, place) end", "true end", OUT_OF_TURN),
    Mutant(
        "a script passes over any number of jobs",
        "lib/ordering",
        "if passes_left < 0",
        "if false",
        "test_bounded_scripts",
    ),
    Mutant("a job is queued twice", "lib/ordering", "if was_deferred", "if true", "test_order_with_other_features"),
    Mutant("a skipped dead letter holds its line", "lib/ordering", "string.sub(place, 1, 4) == 'skip'", "false", ORDER),
    Mutant("a letter that died again is replayed again", "lib/actions", "died_at > planned_at or", "false or", BULK),
    Mutant(
        "an event that was closed again is replayed again",
        "reopen",
        "tonumber(closed_at) > tonumber(",
        "false and tonumber(",
        "test_bulk_replays",
    ),
    Mutant("a runner that lost its action goes on", "lib/actions", "or known[2] ~= token then", "then", BULK),
    Mutant("an action is started twice", "bulk_start", "tonumber(known[2]) > now_ms", "false", BULK),
    Mutant("a discard is not in the audit", "lib/actions", "audit(who, action, job_id, 1, reason)", "", "test_audit"),
    Mutant("a dead letter is in no group", "lib/claims", "join_group(job_id, failure)", "'+inf'", GROUPS),
    Mutant("a letter's group is another", "lib/groups", "handler .. '\\n' .. kind", "kind", GROUPS),
    Mutant("the groups of a handler are not bounded", "lib/groups", "< MOST_GROUPS", "< 1000000", GROUPS),
    Mutant("an event remembers one group", "lib/groups", "table.concat(all, ' ')", "id", ERASED),
    Mutant("the groups of an event are not bounded", "lib/groups", ">= MOST_REMEMBERED", ">= 1000000", ERASED),
    Mutant("an erased event leaves its words", "lib/events", "leave_groups(event_id)", "", ERASED),
    Mutant("a discarded job keeps its turn", "discard", "order('release', job_id)", "", ORDER),
    Mutant("an erased job keeps its turn", "lib/events", "order('forget', job_id, queue)", "", ORDER),
    Mutant(
        "a job that is given back counts as routed",
        "lib/ordering",
        "if kind ~= 'give_back' then",
        "if true then",
        ORDER,
    ),
    Mutant("events have no numbers", "accept", "opened[at] = number + (at + 1) / 2", "opened[at] = 1", ORDER),
    Mutant("a renewed lease counts as lapsed", "interrupt", "and left_ms <= LONGEST_LEASE_MS", "and false", LEASES),
    Mutant(
        "a lease from before a step of the clock stays",
        "interrupt",
        "and left_ms <= LONGEST_LEASE_MS",
        "",
        LEASES,
    ),
    Mutant(
        "a dead process's job without a record runs", "interrupt", "EVENT .. event_of(job_id)) == 0", "'') == 1", LEASES
    ),
    Mutant("a reserved job counts as interrupted", "interrupt", "known == 'reserved' or", "", "test_child"),
    Mutant("interruptions are not limited", "interrupt", "count >= allowed", "false", LEASES),
    Mutant(
        "a claimed job stays failed",
        "lib/claims",
        "call('ZREM', FAILED .. queue, unpack(job_ids))",
        "call('TIME')",
        LEASES,
    ),
    Mutant(
        "a claimed job stays scheduled",
        "lib/claims",
        "call('ZREM', SCHEDULED .. queue, unpack(job_ids))",
        "call('TIME')",
        LEASES,
    ),
    Mutant(
        "a stale ack is applied",
        "exchange",
        "if not valid_claims[ack.claim] then return false end\n  valid",
        "valid",
        LEASES,
    ),
    Mutant(
        "a repeated exchange is applied again", "exchange", "if last_number == number then", "if false then", EXCHANGE
    ),
    Mutant("an older exchange is applied", "exchange", "if last_number > number then", "if false then", EXCHANGE),
    Mutant(
        "a closed event runs again",
        "lib/claims",
        "if not record[1] or record[2] or record[4]",
        "if not record[1] or record[4]",
        EXCHANGE,
    ),
    Mutant(
        "a lost lease is renewed",
        "renew",
        "call('ZSCORE', LEASES .. queue, claim) then",
        "call('TIME') then",
        LEASES,
    ),
    Mutant("a duplicate is stored", "accept", "call('EXISTS', key) == 1 then", "call('EXISTS', key) == 2 then", ACCEPT),
    Mutant("the limit of open events is ignored", "accept", "room <= 0", "false", LIMIT),
    Mutant("a job that has moved is queued again", "sweep", "and not has_moved(job_id) and", "and", SWEEP),
    Mutant(
        "a scheduled job is queued again",
        "sweep",
        "call('ZSCORE', SCHEDULED .. queue, job_id)\n",
        "call('ZSCORE', SCHEDULED, job_id)\n",
        SWEEP,
    ),
    Mutant("extra jobs are not counted down", "lib/events", "call('DECR', EXTRA_JOBS)", "call('TIME')", SWEEP),
    Mutant(
        "an expired event starts",
        "txn_claim",
        "if now_ms <= txn.deadline then return start(id, txn) end",
        "if true then return start(id, txn) end",
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
        "a late effect is forgotten in a later round", "lib/transactions", "undo = join_jobs(undo, late)", "", GIVEN_UP
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
        "if held and held == ARGV[4] then",
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
        "a stock worker's failure stays a dead letter",
        "sweep_failed",
        "elseif not is_dead_letter(job_id) then",
        "elseif false then",
        RQ_TOOLS,
    ),
    Mutant(
        "our dead letters are given back", "sweep_failed", "elseif not is_dead_letter(job_id) then", "else", RQ_TOOLS
    ),
    Mutant("a stock worker gets a job for ever", "sweep_failed", "misdirected > most", "false", RQ_TOOLS),
    Mutant("a running job is cancelled", "sweep_canceled", "and not is_claimed(job_id, queue) then", "then", RQ_TOOLS),
    Mutant(
        "a response of another round counts as lost", "txn_lost", "'confirmed') == round", "'decision')", LOST_REPLIES
    ),
)
