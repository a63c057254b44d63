-- The place in the trace of whoever had the shipment dispatched: the carrier goes
-- on from there.
ALTER TABLE shipments ADD COLUMN trace VARCHAR(128) NOT NULL DEFAULT '';
