package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"google.golang.org/protobuf/encoding/protojson"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// kept is how many experiments are remembered.
const kept = 200

// load reads the experiments that were kept, the oldest first.
func load(path string) ([]*observev1.Experiment, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all observev1.ExperimentServiceListResponse
	if err == nil {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read experiments: %w", err)
	}
	return all.GetExperiments(), nil
}

// save keeps the experiments, in one step. The lock is held. An experiment ends
// in time even when it can't be kept.
func (r *Runner) save() {
	if over := len(r.all) - kept; over > 0 {
		var left []*observev1.Experiment
		for _, e := range r.all {
			if over > 0 && e.GetState() != observev1.Experiment_STATE_RUNNING {
				over--
				continue
			}
			left = append(left, e)
		}
		r.all = left
	}
	text, err := protojson.Marshal(&observev1.ExperimentServiceListResponse{Experiments: r.all})
	next := r.opts.Path + ".next"
	if err == nil {
		err = os.WriteFile(next, text, 0o600)
	}
	if err == nil {
		err = os.Rename(next, r.opts.Path)
	}
	if err != nil {
		r.opts.Log.Error("experiments not kept", "error", err)
	}
}
