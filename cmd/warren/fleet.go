package main

import (
	"fmt"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/audit"
	"github.com/gowarren/warren/internal/supervisor"
)

// dataDir is where the running system lives.
func (o *options) dataDir() string {
	if o.data != "" {
		return o.data
	}
	return filepath.Join(filepath.Dir(o.file), ".warren")
}

// dial connects to the running supervisor, as a command.
func (o *options) dial() (*grpc.ClientConn, error) {
	return supervisor.Dial(o.dataDir(), audit.Caller{Via: audit.CLI}.DialOptions()...)
}

// withFleet calls f with a client of the running supervisor.
func (o *options) withFleet(f func(fleetv1.FleetServiceClient) error) error {
	conn, err := o.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	err = f(fleetv1.NewFleetServiceClient(conn))
	if status.Code(err) == codes.Unavailable {
		return fmt.Errorf("the supervisor in %s ended meanwhile", o.dataDir())
	}
	return err
}

// nothingRuns is the error of a command that needs an engine of the running
// system and found neither system nor address.
func (o *options) nothingRuns(engine, variable string) error {
	return fmt.Errorf("no %s: no system runs in %s, and %s names none; start one with: warren up", engine, o.dataDir(), variable)
}
