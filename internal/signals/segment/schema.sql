-- Times are Unix nanoseconds, ids of traces 16 bytes.
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- One row for each trace, written anew as its spans come. "at" is the time it is
-- found by, which stays.
CREATE TABLE traces (
  id INTEGER PRIMARY KEY,
  trace BLOB NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  start INTEGER NOT NULL,
  finish INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  spans INTEGER NOT NULL,
  stored INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  chunks INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  service TEXT NOT NULL,
  name TEXT NOT NULL,
  services TEXT NOT NULL,
  order_id TEXT NOT NULL,
  gid TEXT NOT NULL,
  flags INTEGER NOT NULL
);
CREATE INDEX traces_at ON traces (at, duration);
CREATE INDEX traces_duration ON traces (duration, at);

-- Spans as they came: OTLP, compressed. The id is that of the trace times 2^20,
-- plus a number: so what belongs together lies together.
CREATE TABLE chunks (id INTEGER PRIMARY KEY, data BLOB NOT NULL);

-- What traces are found by: a hash of its name and value.
CREATE TABLE terms (term INTEGER, at INTEGER, trace INTEGER, PRIMARY KEY (term, at, trace)) WITHOUT ROWID;

-- Services and their operations, for completion.
CREATE TABLE names (service TEXT, operation TEXT, PRIMARY KEY (service, operation)) WITHOUT ROWID;

-- Lines of logs. The id is their time, made unique.
CREATE TABLE logs (
  id INTEGER PRIMARY KEY,
  level INTEGER NOT NULL,
  source INTEGER NOT NULL,
  trace BLOB,
  span BLOB,
  message TEXT NOT NULL,
  attributes BLOB
);
CREATE INDEX logs_trace ON logs (trace) WHERE trace IS NOT NULL;
CREATE INDEX logs_source ON logs (source, level);
CREATE INDEX logs_serious ON logs (id) WHERE level >= 3;
CREATE TABLE sources (id INTEGER PRIMARY KEY, service TEXT NOT NULL, instance TEXT NOT NULL, UNIQUE (service, instance));
CREATE TABLE counts (minute INTEGER, source INTEGER, level INTEGER, lines INTEGER NOT NULL, PRIMARY KEY (minute, source, level)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', columnsize = 0, tokenize = 'unicode61');

-- Who called whom in which minute, by latency.
CREATE TABLE links (
  id INTEGER PRIMARY KEY,
  origin TEXT NOT NULL,
  target TEXT NOT NULL,
  system TEXT NOT NULL,
  version TEXT NOT NULL,
  UNIQUE (origin, target, system, version)
);
CREATE TABLE calls (
  minute INTEGER,
  link INTEGER,
  bucket INTEGER,
  calls INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  PRIMARY KEY (minute, link, bucket)
) WITHOUT ROWID;
