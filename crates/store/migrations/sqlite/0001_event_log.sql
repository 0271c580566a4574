-- The event log of one node. `log` is the truth; `calls` and `handoffs` are its index and can be rebuilt from it.
-- Times are whole nanoseconds since the Unix epoch, so that a replay sees exactly what the call saw.

CREATE TABLE policies (
    hash TEXT PRIMARY KEY NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE calls (
    call          TEXT PRIMARY KEY NOT NULL,
    opened_ns     INTEGER NOT NULL,
    opened_seq    INTEGER NOT NULL,
    policy        TEXT NOT NULL REFERENCES policies (hash),
    ended_ns      INTEGER,
    ended_by      TEXT,
    record_seq    INTEGER,
    utterances    INTEGER,
    handoffs      INTEGER NOT NULL DEFAULT 0,
    handoff_state TEXT,
    handoff_code  TEXT,
    agent         TEXT
) STRICT;

CREATE INDEX calls_newest ON calls (opened_ns, call);
CREATE INDEX calls_open ON calls (opened_ns, call) WHERE ended_ns IS NULL;
CREATE INDEX calls_ended ON calls (ended_ns) WHERE ended_ns IS NOT NULL;

CREATE TABLE handoffs (
    call         TEXT NOT NULL,
    handoff      INTEGER NOT NULL,
    state        TEXT NOT NULL,
    opened_ns    INTEGER NOT NULL,
    opened_seq   INTEGER NOT NULL,
    queue        TEXT,
    since_ns     INTEGER,
    agent        TEXT,
    delivered_ns INTEGER,
    accepted_ns  INTEGER,
    bridged_ns   INTEGER,
    closed_ns    INTEGER,
    PRIMARY KEY (call, handoff)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    id      INTEGER PRIMARY KEY,
    call    TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    at_ns   INTEGER NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('opened', 'event', 'heard', 'entry', 'lost')),
    actions TEXT,
    body    TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX log_line ON log (call, seq);
