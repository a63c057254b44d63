// Command warren runs a system of services on this machine, and looks after it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, newRoot())
	stop()
	os.Exit(status)
}

// interrupted is the exit status of what the user ended, as shells have it.
const interrupted = 130

// run executes a command, tells its error, and returns the exit status.
func run(ctx context.Context, root *cobra.Command) int {
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && isCanceled(err):
		return interrupted // who pressed Ctrl-C knows
	case !errors.Is(err, errSilent):
		fmt.Fprintln(root.ErrOrStderr(), "warren: "+message(err))
	}
	return 1
}

func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled
}

// errSilent ends a command that has said what is wrong.
var errSilent = errors.New("already reported")

// message is the text of an error for a person: without the words that gRPC
// puts around it.
func message(err error) string {
	if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok && s.GRPCStatus().Message() != "" {
		return s.GRPCStatus().Message()
	}
	return err.Error()
}

// options are the flags that every command has.
type options struct {
	file        string
	environment string
	data        string
	json        bool
}

func newRoot() *cobra.Command {
	o := &options{}
	root := newGroup(&cobra.Command{
		Use:           "warren",
		Short:         "Run a fleet of Go services as one system",
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	root.SetFlagErrorFunc(wrongFlag)
	flags := root.PersistentFlags()
	flags.StringVar(&o.file, "file", "warren.yaml", "the system file")
	flags.StringVar(&o.environment, "environment", "", "environment of the system file and of the live settings")
	flags.StringVar(&o.data, "data", "", "data folder (default .warren beside the system file)")
	flags.BoolVar(&o.json, "json", false, "print JSON")

	root.AddGroup(
		&cobra.Group{ID: "system", Title: "The system:"},
		&cobra.Group{ID: "look", Title: "Look into it:"},
		&cobra.Group{ID: "develop", Title: "Develop:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("system", newUp(o), newDown(o), newWait(o), newRestart(o), newScale(o), newKill(o), newConfig(o), newTx(o), newLetters(o),
		newShards(o), newExperiment(o), newConsole(o))
	add("look", newPs(o), newTop(o), newAudit(o), newMetrics(o), newEvents(o), newAlerts(o), newTraces(o), newLogs(o),
		newProfile(o), newPolicies(o), newContracts(o), newRoutes(o), newCall(o), newDoctor(o), newExport(o))
	add("develop", newNew(o), newGenerate(o), newLint(o))
	root.AddCommand(newGateway(), newCoordinator(), newVersion(o))
	return root
}
