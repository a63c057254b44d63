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
	"google.golang.org/grpc/status"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "warren: "+message(err))
		}
		os.Exit(1)
	}
}

// errSilent ends a command that has said what is wrong.
var errSilent = errors.New("already reported")

// message is the text of an error for a person: without the words that gRPC
// puts around it.
func message(err error) string {
	if s, ok := status.FromError(err); ok && s.Message() != "" {
		return s.Message()
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
	root := &cobra.Command{
		Use:           "warren",
		Short:         "Run a fleet of Go services as one system",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&o.file, "file", "warren.yaml", "the system file")
	flags.StringVar(&o.environment, "env", "", "environment of the system file and of the live settings")
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
	add("system", newUp(o), newDown(o), newWait(o), newRestart(o), newScale(o), newKill(o), newConfig(o))
	add("look", newPs(o), newLogs(o), newRoutes(o), newCall(o), newDoctor(o))
	add("develop", newNew(o), newGenerate(o), newLint(o))
	root.AddCommand(newGateway(), newVersion(o))
	return root
}
