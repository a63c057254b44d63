# Every target is one line of intent; the work is in the commands it calls.
.PHONY: up test lint generate bench soak replay

export CGO_ENABLED := 0

# Run the shop: http://127.0.0.1:8080
up:
	@echo 'building warren; the first time takes a minute or two'
	go build -o bin/warren ./cmd/warren
	bin/warren up

# Pass all tests, with the real servers they need.
test:
	scripts/test

# Look for mistakes that tests do not find.
lint:
	scripts/lint

# Write the Go code of all contracts.
generate:
	go run ./cmd/warren generate

# Measure beside the peers.
bench:
	cd bench && go run .

# Sell while everything is killed: 10,000 checkouts; SOAK=100 for fewer, SEED=1 for a course once more. And while the broker is away for a minute.
soak:
	SOAK=$${SOAK:-10000} go test ./shop/e2e -run '^(TestCheckoutSurvives|TestBrokerIsAway)$$' -count=1 -v -timeout 3h

# Have the customers of a real shop buy once more, in the shop that runs: ARGS='--limit 20' for fewer orders.
replay:
	go run ./shop/replay $(ARGS)
