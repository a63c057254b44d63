package experiment

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// file is how experiments are written down.
type file struct {
	Experiments []entry `yaml:"experiments"`
}

type entry struct {
	Name    string         `yaml:"name"`
	Reason  string         `yaml:"reason"`
	For     *time.Duration `yaml:"for"`
	Latency *struct {
		Service string        `yaml:"service"`
		Method  string        `yaml:"method"`
		Delay   time.Duration `yaml:"delay"`
		Jitter  time.Duration `yaml:"jitter"`
		Share   *float64      `yaml:"share"`
	} `yaml:"latency"`
	Error *struct {
		Service string   `yaml:"service"`
		Method  string   `yaml:"method"`
		Code    string   `yaml:"code"`
		Share   *float64 `yaml:"share"`
	} `yaml:"error"`
	Kill *struct {
		Service string         `yaml:"service"`
		Every   *time.Duration `yaml:"every"`
	} `yaml:"kill"`
	Partition *struct {
		From string `yaml:"from"`
		To   string `yaml:"to"`
	} `yaml:"partition"`
}

// ReadFile reads a file of experiments, which are meant to run at once.
func ReadFile(path string) ([]*observev1.ExperimentServiceStartRequest, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read experiments: %w", err)
	}
	var f file
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read experiments in %s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	if len(f.Experiments) == 0 {
		return nil, fmt.Errorf("read experiments in %s: there are none under the key experiments", path)
	}
	var out []*observev1.ExperimentServiceStartRequest
	for i, e := range f.Experiments {
		req, err := e.request()
		if err != nil {
			return nil, fmt.Errorf("read experiments in %s: number %d: %w", path, i+1, err)
		}
		out = append(out, req)
	}
	return out, nil
}

func (e entry) request() (*observev1.ExperimentServiceStartRequest, error) {
	req := &observev1.ExperimentServiceStartRequest{Name: e.Name, Reason: e.Reason, Fault: &observev1.Fault{}}
	req.Duration = span(e.For)
	faults := 0
	if l := e.Latency; l != nil {
		faults++
		req.Fault.Kind = &observev1.Fault_Latency{Latency: &observev1.LatencyFault{
			Service: l.Service, Method: l.Method, Delay: durationpb.New(l.Delay), Jitter: durationpb.New(l.Jitter), Share: share(l.Share),
		}}
	}
	if f := e.Error; f != nil {
		faults++
		req.Fault.Kind = &observev1.Fault_Error{Error: &observev1.ErrorFault{Service: f.Service, Method: f.Method, Code: f.Code, Share: share(f.Share)}}
	}
	if k := e.Kill; k != nil {
		faults++
		req.Fault.Kind = &observev1.Fault_Kill{Kill: &observev1.KillFault{Service: k.Service, Every: span(k.Every)}}
	}
	if p := e.Partition; p != nil {
		faults++
		req.Fault.Kind = &observev1.Fault_Partition{Partition: &observev1.PartitionFault{From: p.From, To: p.To}}
	}
	if faults != 1 {
		return nil, errors.New("fault: want one of latency, error, kill and partition")
	}
	return req, checkFault(req.GetFault())
}

// span is a time that is written down, also if it is 0: which is refused.
func span(written *time.Duration) *durationpb.Duration {
	if written == nil {
		return nil
	}
	return durationpb.New(*written)
}

// share is the one that is written down; where none is, all calls are hit. Who
// writes 0 means none, which the contract cannot tell from nothing.
func share(written *float64) float64 {
	switch {
	case written == nil:
		return 0
	case *written == 0:
		return -1 // which is refused
	}
	return *written
}
