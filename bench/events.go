package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// brokers are the drivers of events whose benchmarks are run, by folder.
var brokers = []struct{ driver, name string }{
	{"natsevents", "NATS JetStream, embedded: synced every second"},
	{"amqpevents", "RabbitMQ, one node, quorum queues"},
	{"kafkaevents", "Kafka's protocol, by kfake in process: no real Kafka"},
}

// databases are those that have outbox and inbox.
var databases = []struct{ key, name string }{{"sqlite", "SQLite"}, {"postgres", "PostgreSQL"}}

// events has the benchmarks of the packages take how fast outboxes are relayed and
// events are handled: real relays and subscribers, brokers and databases.
func (s *stage) events(ctx context.Context, p plan) (found []section, err error) {
	defer s.stop()
	broker, err := rabbitMQ(ctx)
	if err != nil {
		return nil, err
	}
	if s.postgres, err = s.openPostgres(ctx); err != nil {
		return nil, err
	}
	url, err := s.postgres.create(ctx, "events")
	if err != nil {
		return nil, err
	}
	for _, folder := range []string{"events", "events/natsevents", "events/amqpevents", "events/kafkaevents"} {
		if err := s.compile(ctx, folder); err != nil {
			return nil, err
		}
	}
	begin, seen := time.Now(), map[string][]float64{}
	s.idle = nil // what was seen before belongs to other tables
	env := append(os.Environ(), "WARREN_TEST_POSTGRES="+url, "WARREN_TEST_AMQP="+broker)
	for round := range p.rounds {
		if err := s.eventsRound(ctx, p, round, env, seen); err != nil {
			return nil, err
		}
	}
	text, err := eventsTable(seen)
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("Taken on %s; %s; %d rounds, %s in all.%s\n",
		time.Now().UTC().Format("2 January 2006"), machine(), p.rounds, time.Since(begin).Round(time.Second), s.noise())
	return []section{tell(section{"events", text}), tell(section{"about-events", about})}, nil
}

// eventsRound measures everybody once; who is first moves on from round to round.
func (s *stage) eventsRound(ctx context.Context, p plan, round int, env []string, seen map[string][]float64) error {
	relayed, handled, published := "20000x", "4000x", "1s"
	if p.quick {
		relayed, handled, published = "1000x", "200x", "100ms"
	}
	for i := range brokers {
		b := brokers[(i+round)%len(brokers)]
		for _, what := range []struct{ name, amount string }{{"Relay", relayed}, {"Consume", handled}} {
			if err := s.benchmark(ctx, "events/"+b.driver, what.name, what.amount, env, seen); err != nil {
				return err
			}
		}
	}
	return s.benchmark(ctx, "events", "Publish", published, env, seen)
}

// rabbitMQ is where the broker for tests listens. It waits for the disk, as quorum
// queues always do.
func rabbitMQ(ctx context.Context) (string, error) {
	if url := os.Getenv("WARREN_TEST_AMQP"); url != "" {
		return url, nil
	}
	cmd := exec.CommandContext(ctx, "scripts/servers", "env")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		return "", errors.New("find RabbitMQ: it does not run; scripts/servers start starts it")
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if url, ok := strings.CutPrefix(lines.Text(), "export WARREN_TEST_AMQP="); ok {
			return strings.Trim(url, "'"), nil
		}
	}
	return "", errors.New("find RabbitMQ: scripts/servers env does not name it")
}

// compile builds the tests of a package once for all rounds.
func (s *stage) compile(ctx context.Context, folder string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", s.tests(folder), "./"+folder)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the benchmarks of %s: %w\n%s", folder, err, out)
	}
	return nil
}

func (s *stage) tests(folder string) string {
	return filepath.Join(s.dir, filepath.Base(folder)+".test")
}

// benchmark runs one benchmark of a package, and adds what it says.
func (s *stage) benchmark(ctx context.Context, folder, name, amount string, env []string, seen map[string][]float64) error {
	if err := s.lookAround(ctx); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, s.tests(folder), "-test.run", "^$", "-test.bench", "^Benchmark"+name+"$", "-test.benchtime", amount)
	cmd.Dir, cmd.Env = filepath.Join("..", folder), env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run Benchmark%s of %s: %w\n%s", name, folder, err, out)
	}
	return readEvents(filepath.Base(folder), out, seen)
}

// readEvents reads lines such as
//
//	BenchmarkRelay/sqlite-2            4000   25000 ns/op   40000 events/s
//
// and keeps the time of one: events are counted by the second only in the table.
func readEvents(driver string, out []byte, seen map[string][]float64) error {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != "ns/op" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "-")
		ns, err := strconv.ParseFloat(fields[2], 64)
		if err != nil || ns <= 0 {
			return fmt.Errorf("read the benchmarks of events: %q", lines.Text())
		}
		seen[driver+"/"+name] = append(seen[driver+"/"+name], ns/1000)
		fmt.Fprintf(os.Stderr, "%-12s %-20s %8.1f µs\n", driver, name, ns/1000)
	}
	return nil
}

// eventsTable shows events by the second for each broker, and what an event costs
// its publisher.
func eventsTable(seen map[string][]float64) (string, error) {
	var b strings.Builder
	var missing []string
	micros := func(key string) float64 {
		if len(seen[key]) == 0 {
			missing = append(missing, key)
		}
		return median(seen[key])
	}
	b.WriteString("| events/s | relayed from SQLite | relayed from PostgreSQL | handled in SQLite | handled in PostgreSQL |\n|---|---|---|---|---|")
	for _, broker := range brokers {
		fmt.Fprintf(&b, "\n| %s |", broker.name)
		for _, what := range []string{"Relay", "Consume"} {
			for _, database := range databases {
				fmt.Fprintf(&b, " %.0f |", 1e6/micros(broker.driver+"/"+what+"/"+database.key))
			}
		}
	}
	b.WriteString("\n\n| a transaction that writes a row, one after the other | µs without an event | with one | added |\n|---|---|---|---|")
	for _, database := range databases {
		key := "events/Publish/" + database.key
		without, with := micros(key+"/without"), micros(key+"/with")
		fmt.Fprintf(&b, "\n| %s | %.0f | %.0f | %+.0f %% |", database.name, without, with, added(seen[key+"/without"], seen[key+"/with"]))
	}
	b.WriteString("\n")
	if len(missing) > 0 {
		return "", fmt.Errorf("the benchmarks of events said nothing of %s", strings.Join(missing, ", "))
	}
	return b.String(), nil
}

// added is how many hundredths more the second takes, compared within each round.
func added(without, with []float64) float64 {
	var ratios []float64
	for i := range min(len(without), len(with)) {
		ratios = append(ratios, with[i]/without[i])
	}
	return 100 * (median(ratios) - 1)
}
