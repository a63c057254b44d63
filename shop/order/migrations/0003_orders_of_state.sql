-- Orders in a state, the oldest first: those that are left over are looked for.
CREATE INDEX orders_of_state ON orders (state, order_id);
