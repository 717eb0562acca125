-- Schema version 1. Runs once, in a transaction, with the schema of the service first in the search path.

-- What a silo executes against this database: Orleans finds its statements here, by key.
CREATE TABLE orleansquery
(
    querykey  varchar(64) PRIMARY KEY,
    querytext text        NOT NULL
);

-- Which service this database belongs to: one row. Two services on one set of grain states would each undo what the other did.
CREATE TABLE service_identity
(
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    cluster_id text        NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now()
);

-- The silos. Every change of a row raises the version of its table, and happens only when the writer had seen the last one:
-- so all silos agree on one order of joins and deaths.
CREATE TABLE silo_table
(
    deployment_id text        PRIMARY KEY,
    version       integer     NOT NULL DEFAULT 0,
    changed_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE silo
(
    deployment_id text        NOT NULL REFERENCES silo_table ON DELETE CASCADE,
    address       text        NOT NULL,
    port          integer     NOT NULL,
    generation    integer     NOT NULL,
    name          text        NOT NULL,
    host_name     text        NOT NULL,
    status        integer     NOT NULL,
    proxy_port    integer     NOT NULL,
    suspect_times text,
    start_time    timestamptz NOT NULL,
    alive_at      timestamptz NOT NULL,
    PRIMARY KEY (deployment_id, address, port, generation)
);

-- States of grains. A payload of null is a state that was cleared; its version goes on counting.
-- The key is the whole identity, not its hash: two grains can never share a row.
CREATE TABLE grain_state
(
    service_id    text        NOT NULL,
    grain_type    text        NOT NULL,
    key_high      bigint      NOT NULL,
    key_low       bigint      NOT NULL,
    key_text      text        NOT NULL,
    version       integer     NOT NULL,
    payload       bytea,
    written_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service_id, grain_type, key_high, key_low, key_text)
);

CREATE TABLE reminder
(
    service_id text        NOT NULL,
    grain_id   text        NOT NULL,
    name       text        NOT NULL,
    grain_hash integer     NOT NULL,
    start_time timestamptz NOT NULL,
    period     bigint      NOT NULL,
    version    integer     NOT NULL,
    PRIMARY KEY (service_id, grain_id, name)
);

-- Silos read the reminders of the part of the hash ring that is theirs.
CREATE INDEX reminder_by_hash ON reminder (service_id, grain_hash);

-- Keys that encrypt the credentials of the member clusters, as ASP.NET Core Data Protection writes them.
CREATE TABLE data_protection_key
(
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    xml        text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What all gateways of the service must have in common, such as the authority that clients trust. Encrypted with the keys above.
CREATE TABLE shared_file
(
    name       text        PRIMARY KEY,
    content    text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Where each grain lives. A grain can be registered once only, whatever silos believe of each other.
CREATE TABLE grain_directory
(
    grain_id           text        PRIMARY KEY,
    activation_id      text        NOT NULL,
    silo               text        NOT NULL,
    membership_version bigint      NOT NULL,
    registered_at      timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX grain_directory_by_silo ON grain_directory (silo);

-- What each member cluster costs the silo that holds it, as measured there: bytes of memory, with processor time counted as memory.
CREATE TABLE cluster_load
(
    cluster     text             PRIMARY KEY,
    load        double precision NOT NULL,
    measured_at timestamptz      NOT NULL DEFAULT now()
);
