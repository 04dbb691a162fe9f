-- What five-minute windows said, `suggestions` answers. The ledger's rows of their topic go with the table: no check asks
-- Kafka for a topic that nobody reads.

DROP TABLE IF EXISTS windows;

ALTER TABLE ledger DELETE WHERE topic = 'keeprate.windows' SETTINGS mutations_sync = 2;
