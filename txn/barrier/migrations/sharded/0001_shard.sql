-- A shard on the move is read in the order of the key.
CREATE INDEX warren_barrier_shard ON warren_barrier (shard, gid, branch, op, step);
