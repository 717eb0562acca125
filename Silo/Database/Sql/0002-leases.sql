-- Schema version 2: which silo may act for its clusters, and who is about to go.

-- A silo renews its row several times a second. Nobody takes over a cluster of a silo whose row is younger than the lease; whoever
-- does so removes the row first, and a silo without a row never acts again. All times are the database's.
CREATE TABLE silo_lease
(
    silo       text        PRIMARY KEY,
    endpoint   text        NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    is_leaving boolean     NOT NULL DEFAULT false
);
