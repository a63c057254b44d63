// Command replay has the real customers of a real shop buy once more what they
// bought: through the gateway, as anybody else would. It reports each line that
// is no order, follows every order to its end, and then checks what customers
// can check: money, stock, shipments, messages.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// The orders; README.md tells where they are from and their licence.
//
//go:embed orders.csv
var orders []byte

// options say what is replayed, and how.
type options struct {
	gateway, file, run       string
	limit, customers, atOnce int
	patience                 time.Duration
	alone, everyLine         bool
}

func main() {
	os.Exit(program())
}

func program() int {
	var o options
	flag.StringVar(&o.gateway, "gateway", "http://127.0.0.1:8080", "where the shop is")
	flag.StringVar(&o.file, "file", "", "a CSV file of invoice lines, instead of the one that travels with the program")
	flag.IntVar(&o.limit, "limit", 0, "at most so many invoices; 0 means all")
	flag.IntVar(&o.customers, "customers", 0, "only those of so many customers; 0 means all")
	flag.IntVar(&o.atOnce, "concurrency", 8, "how many customers buy at once")
	flag.StringVar(&o.run, "run", strconv.FormatInt(time.Now().Unix(), 36), "names the customers' accounts, so that each run has its own")
	flag.DurationVar(&o.patience, "patience", 5*time.Minute, "how long an answer, or an order's end, is waited for")
	flag.BoolVar(&o.alone, "alone", true, "whether nobody else buys meanwhile, so that stock can be checked")
	flag.BoolVar(&o.everyLine, "v", false, "print every line that is not as it should be, not only some of each kind")
	flag.Parse()
	if flag.NArg() > 0 || o.atOnce < 1 || o.limit < 0 || o.customers < 0 {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := replay(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		return 1
	}
	if !ok {
		return 1
	}
	return 0
}

// source is the file that is replayed.
func (o options) source() (io.ReadCloser, error) {
	if o.file != "" {
		return os.Open(o.file)
	}
	return io.NopCloser(bytes.NewReader(orders)), nil
}
