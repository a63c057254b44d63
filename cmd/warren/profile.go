package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/flame"
)

func (o *options) withProfiles(f func(observev1.ProfileServiceClient) error) error {
	return o.withObserve(func(c grpc.ClientConnInterface) error { return f(observev1.NewProfileServiceClient(c)) })
}

// profileView are the flags of showing a profile.
type profileView struct {
	output, value string
	top           int
}

func (v *profileView) flags(c *cobra.Command) {
	c.Flags().StringVarP(&v.output, "output", "o", "", "write the profile to a file, for: go tool pprof -http : FILE")
	c.Flags().StringVar(&v.value, "value", "", "what is counted, such as alloc_space of a heap (default what the kind is about)")
	c.Flags().IntVar(&v.top, "top", 20, "how many functions are listed")
}

func newProfile(o *options) *cobra.Command {
	var kind string
	var seconds float64
	v := &profileView{}
	c := newGroup(&cobra.Command{
		Use:   "profile <service or instance>",
		Short: "Record which functions a process spends its time or memory on",
		Example: `  warren profile order
  warren profile payment/2 --kind heap
  warren profile payment/2 --kind cpu --seconds 10 --output cpu.pb.gz
  warren profile list`,
	}, newProfileList(o), newProfileShow(o))
	c.Args = takes(1, 1, "a service, an instance such as catalog/1, or warren; warren ps lists them")
	c.ValidArgsFunction = o.completeLogs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		number, ok := observev1.ProfileKind_value["PROFILE_KIND_"+strings.ToUpper(kind)]
		if !ok || number == 0 {
			return fmt.Errorf("unknown kind %q; there are cpu, heap, allocs, goroutine, mutex and block", kind)
		}
		return o.withProfiles(func(client observev1.ProfileServiceClient) error {
			taken, err := client.Take(cmd.Context(), &observev1.TakeProfileRequest{
				Instance: args[0], Kind: observev1.ProfileKind(number), Duration: durationpb.New(time.Duration(seconds * float64(time.Second))),
				Author: author(),
			})
			if err != nil {
				return err
			}
			return o.showProfile(cmd, v, taken.GetProfile(), taken.GetData())
		})
	}
	v.flags(c)
	c.Flags().StringVar(&kind, "kind", "cpu", "cpu, heap, allocs, goroutine, mutex or block")
	c.Flags().Float64Var(&seconds, "seconds", 0, "for how long, at most profiles.duration.max, 30 (default profiles.duration, 5; "+
		"allocs: since the process began; heap and goroutine are of one moment)")
	return c
}

func newProfileShow(o *options) *cobra.Command {
	v := &profileView{}
	c := &cobra.Command{
		Use: "show <id>", Short: "Show a profile that is kept", Args: takes(1, 1, "the id of a profile; warren profile list has them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withProfiles(func(client observev1.ProfileServiceClient) error {
				found, err := client.Get(cmd.Context(), &observev1.GetProfileRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return o.showProfile(cmd, v, found.GetProfile(), found.GetData())
			})
		},
	}
	v.flags(c)
	return c
}

func newProfileList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list [service or instance]", Short: "List the profiles that are kept", Args: takes(0, 1, "at most one service or instance"),
		ValidArgsFunction: o.completeLogs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withProfiles(func(client observev1.ProfileServiceClient) error {
				resp, err := client.List(cmd.Context(), &observev1.ListProfilesRequest{Instance: strings.Join(args, "")})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				t := newTable(cmd.OutOrStdout(), "ID", "INSTANCE", "KIND", "AGE", "OVER", "VERSION")
				for _, p := range resp.GetProfiles() {
					over := "-"
					if p.GetDuration() != nil {
						over = p.GetDuration().AsDuration().String()
					}
					t.row(p.GetId(), p.GetInstance(), profileKind(p), age(p.GetTime().AsTime()), over, orDash(p.GetVersion()))
				}
				return t.flush()
			})
		},
	}
}

func profileKind(p *observev1.Profile) string {
	return strings.ToLower(strings.TrimPrefix(p.GetKind().String(), "PROFILE_KIND_"))
}

// functionCost is a function as programs read it.
type functionCost struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int64  `json:"line,omitempty"`
	Flat     int64  `json:"flat"`
	Cum      int64  `json:"cum"`
}

func (o *options) showProfile(cmd *cobra.Command, v *profileView, p *observev1.Profile, data []byte) error {
	if v.output != "" {
		if err := os.WriteFile(v.output, data, 0o600); err != nil {
			return fmt.Errorf("write the profile: %w", err)
		}
	}
	read, err := flame.Read(data, v.value)
	if err != nil {
		return err
	}
	functions := read.Functions()
	functions = functions[:min(len(functions), max(v.top, 0))]
	if !o.json {
		return printProfile(cmd.OutOrStdout(), p, read, functions)
	}
	costs := []functionCost{}
	for _, f := range functions {
		costs = append(costs, functionCost{f.Name, f.File, f.Line, f.Flat, f.Cum})
	}
	return printJSON(cmd.OutOrStdout(), map[string]any{
		"id": p.GetId(), "instance": p.GetInstance(), "kind": profileKind(p), "time": p.GetTime().AsTime(),
		"seconds": p.GetDuration().AsDuration().Seconds(), "value": read.Value, "unit": read.Unit, "total": read.Total, "functions": costs,
	})
}

func printProfile(w io.Writer, p *observev1.Profile, read *flame.Profile, functions []*flame.Function) error {
	fmt.Fprintf(w, "%s of %s, %s in all; kept as %s\n", profileKind(p), p.GetInstance(), cost(read.Total, read.Unit), p.GetId())
	t := newTable(w, "FLAT", "FLAT%", "CUM", "CUM%", "FUNCTION")
	share := func(v int64) string { return fmt.Sprintf("%.1f%%", 100*float64(v)/float64(max(read.Total, 1))) }
	for _, f := range functions {
		t.row(cost(f.Flat, read.Unit), share(f.Flat), cost(f.Cum, read.Unit), share(f.Cum), f.Name)
	}
	return t.flush()
}

// cost is a value of a profile in its unit.
func cost(v int64, unit string) string {
	switch unit {
	case "nanoseconds":
		return time.Duration(v).Round(10 * time.Microsecond).String()
	case "bytes":
		return fmt.Sprintf("%.1f KiB", float64(v)/(1<<10))
	}
	return strconv.FormatInt(v, 10)
}
