"""The mutants: each is one change of a script that the named tests must notice."""

from pathlib import Path

from tests.support.mutants import transactions
from tests.support.mutants.mutant import Mutant

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "shared" / "scripts"
LEASES, EXCHANGE, SWEEP = "test_leases", "test_exchange", "test_sweep"
ORDER, GROUPS, BULK = "test_order", "test_failure_groups", "test_bulk_races"
ERASED, RQ_TOOLS, ACCEPT = "test_erased_groups", "test_rq_tools", "test_accept"
OUT_OF_TURN, LIMIT = "test_order_failures", "test_open_event_limit"

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
    *transactions.MUTANTS,
)
