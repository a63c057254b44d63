# Every target is one line of intent; the work is in the commands it calls.
.PHONY: up test lint generate bench

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
