package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/audit"
	"github.com/gowarren/warren/internal/supervisor"
)

func newAudit(o *options) *cobra.Command {
	var limit int32
	c := &cobra.Command{
		Use:     "audit [words]",
		Short:   "List who changed what, by a command or in the console, and why; the last thing first",
		Example: "  warren audit\n  warren audit 'restart payment'",
		Args:    takes(0, 1, "at most one text to look for"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := ""
			if len(args) > 0 {
				query = args[0]
			}
			all, err := o.audited(cmd.Context(), limit, query)
			if err != nil {
				return err
			}
			if o.json {
				list, err := jsonList(all)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), list)
			}
			t := newTable(cmd.OutOrStdout(), "TIME", "WHO", "BY", "WHAT", "TARGET", "WHY", "ERROR")
			for _, e := range all {
				t.row(e.GetTime().AsTime().Local().Format(time.DateTime), e.GetAuthor(), cmp.Or(e.GetVia(), audit.Console), e.GetAction(),
					orDash(oneLine(e.GetTarget())), orDash(oneLine(e.GetReason())), orDash(oneLine(e.GetError())))
			}
			return t.flush()
		},
	}
	c.Flags().Int32Var(&limit, "limit", 100, "how many at most")
	return c
}

// audited asks the running system for its audit, or reads what the one before
// has left.
func (o *options) audited(ctx context.Context, limit int32, query string) ([]*observev1.AuditEntry, error) {
	conn, err := o.dial()
	if err != nil {
		return (&audit.File{Path: supervisor.AuditFile(o.dataDir())}).List(int(limit), query)
	}
	defer conn.Close()
	found, err := observev1.NewAuditServiceClient(conn).List(ctx, &observev1.ListAuditRequest{Query: query, Limit: limit})
	return found.GetEntries(), err
}

// record has the running system write down what the command has done itself, or
// could not do. Where none runs, it goes into the file that one will read. What
// is done is done, and nothing is lost by it: that it is not in the audit is said.
func (o *options) record(cmd *cobra.Command, action, target, reason string, done error) {
	e := &observev1.AuditEntry{Author: author(), Action: action, Target: target, Reason: reason}
	if done != nil {
		e.Error = message(done)
	}
	if err := o.keep(cmd.Context(), e); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "it is not in the audit: %s\n", message(err))
	}
}

func (o *options) keep(ctx context.Context, e *observev1.AuditEntry) error {
	conn, err := o.dial()
	if err != nil {
		if _, err := os.Stat(o.dataDir()); err != nil {
			return nil // there is no system here that could have one
		}
		e.Time, e.Via = timestamppb.Now(), audit.CLI
		return (&audit.File{Path: supervisor.AuditFile(o.dataDir())}).Add(e)
	}
	defer conn.Close()
	_, err = observev1.NewAuditServiceClient(conn).Record(ctx, &observev1.RecordAuditRequest{Entry: e})
	return err
}
