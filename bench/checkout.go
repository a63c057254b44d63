package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// checkout measures orders through the gateway of the whole shop, as warren up
// runs it: every process, engine and customer on this machine.
func (s *stage) checkout(ctx context.Context, p plan) (string, error) {
	customers := []int{4, 16, 64}
	if p.quick {
		customers = []int{4}
	}
	url, err := s.openShop(ctx)
	if err != nil {
		return "", err
	}
	all, err := admit(ctx, url, customers[len(customers)-1])
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| customers at once | orders/s | answer p50 ms | answer p99 ms | paid p50 ms | paid p99 ms |\n|---|---|---|---|---|---|")
	for _, n := range customers {
		r, err := shopping(ctx, all[:n], 2*p.duration)
		if err != nil {
			return "", err
		}
		row := fmt.Sprintf("| %d | %.0f | %.0f | %.0f | %.0f | %.0f |", n, r.rate, quantile(r.answered, 50), quantile(r.answered, 99), quantile(r.paid, 50), quantile(r.paid, 99))
		fmt.Fprintln(os.Stderr, row)
		b.WriteString("\n" + row)
	}
	b.WriteString("\n")
	return b.String(), nil
}

const (
	staff    = "root@example.com"
	password = "correct horse battery staple"
)

// openShop starts the shop of the repository, and returns where its gateway is.
func (s *stage) openShop(ctx context.Context) (string, error) {
	file, err := filepath.Abs("../warren.yaml")
	if err != nil {
		return "", err
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return "", fmt.Errorf("write a password: %w", err)
	}
	cmd := exec.Command(filepath.Join(s.dir, "warren"), "up", "--json", "--file", file, "--data", filepath.Join(s.dir, "shop"), "--gateway", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "SHOP_ADMIN_EMAIL="+staff, "SHOP_ADMIN_PASSWORD_FILE="+secret, "CGO_ENABLED=0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	p, err := s.launch("warren up", "", cmd)
	if err != nil {
		return "", err
	}
	p.end = syscall.SIGINT
	var up struct{ System struct{ Gateway string } }
	if err := json.NewDecoder(stdout).Decode(&up); err != nil {
		return "", fmt.Errorf("open the shop: %w\n%s", err, p.stderr.text)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return "http://" + up.System.Gateway, nil
}

// admit fills the shelves, and gives customers accounts and money.
func admit(ctx context.Context, url string, n int) ([]*customer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	root := newCustomer(url, 0)
	if err := root.signIn(ctx, staff); err != nil {
		return nil, err
	}
	for _, sku := range goods {
		if err := root.patiently(ctx, "POST", "/v1/stock/"+sku+":adjust", `{"delta": 1000000, "reason": "for the measurement"}`, nil); err != nil {
			return nil, err
		}
	}
	all, errs := make([]*customer, n), make([]error, n)
	free := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for i := range all {
		all[i] = newCustomer(url, i+1)
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			errs[i] = all[i].join(ctx, fmt.Sprintf("shopper-%d@example.com", i))
		})
	}
	wg.Wait()
	return all, firstOf(errs)
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// bought is what customers did together; times are in milliseconds.
type bought struct {
	rate           float64
	answered, paid []float64
}

// shopping has each customer order, wait until that is paid, and order again. An
// order that is refused ends it.
func shopping(ctx context.Context, all []*customer, d time.Duration) (bought, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	begin := time.Now()
	parts, errs := make([]bought, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Go(func() {
			for n := 0; time.Since(begin) < d && errs[i] == nil; n++ {
				errs[i] = c.buy(ctx, goods[(i+n)%len(goods)], &parts[i])
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	var sum bought
	for _, part := range parts {
		sum.answered, sum.paid = append(sum.answered, part.answered...), append(sum.paid, part.paid...)
	}
	slices.Sort(sum.answered)
	slices.Sort(sum.paid)
	sum.rate = float64(len(sum.paid)) / elapsed.Seconds()
	if err := firstOf(errs); err != nil {
		return sum, err
	}
	if len(sum.paid) == 0 {
		return sum, errors.New("nobody bought anything")
	}
	return sum, nil
}

func quantile(sorted []float64, percent int) float64 {
	return sorted[len(sorted)*percent/100]
}
