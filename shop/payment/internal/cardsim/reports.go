package cardsim

import (
	"context"
	"fmt"
	"time"
)

const (
	reportPeriod = 200 * time.Millisecond
	reportPause  = time.Second // after a report that nobody took
	reportBatch  = 32
)

// Run sends reports until ctx ends.
func (s *Simulator) Run(ctx context.Context) error {
	tick := time.NewTicker(reportPeriod)
	defer tick.Stop()
	for {
		if err := s.Report(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Report sends the reports that are due now. Several processes may send the
// same one: merchants must bear that.
func (s *Simulator) Report(ctx context.Context) error {
	due, err := s.due(ctx)
	if err != nil {
		return err
	}
	for _, charge := range due {
		err := s.opts.Report(ctx, charge)
		if err != nil && ctx.Err() == nil {
			s.opts.Logger.WarnContext(ctx, "the merchant did not take a report", "charge", charge, "error", err)
			_, err = s.opts.DB.Exec(ctx, `UPDATE cardsim_charges SET report_time = ? WHERE id = ?`, s.opts.Now().Add(reportPause), charge)
		} else if err == nil {
			_, err = s.opts.DB.Exec(ctx, `UPDATE cardsim_charges SET reports = reports - 1 WHERE id = ? AND reports > 0`, charge)
		}
		if err != nil {
			return fmt.Errorf("report charge %s: %w", charge, err)
		}
	}
	return nil
}

func (s *Simulator) due(ctx context.Context) ([]string, error) {
	rows, err := s.opts.DB.Query(ctx, `SELECT id FROM cardsim_charges WHERE reports > 0 AND report_time <= ? ORDER BY report_time LIMIT ?`,
		s.opts.Now(), reportBatch)
	if err != nil {
		return nil, fmt.Errorf("look for reports: %w", err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("look for reports: %w", err)
		}
		out = append(out, id)
	}
	return out, rows.Err()
}
