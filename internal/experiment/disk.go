package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"google.golang.org/protobuf/encoding/protojson"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/wholefile"
)

// kept is how many experiments are remembered.
const kept = 200

// load reads the experiments that were kept, the oldest first. A file that cannot
// be understood is set aside: what it says of the past is no reason not to begin.
func load(path string, log *slog.Logger) ([]*observev1.Experiment, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read experiments: %w", err)
	}
	var all observev1.ExperimentServiceListResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &all); err != nil {
		aside := path + ".damaged"
		if e := os.Rename(path, aside); e != nil {
			return nil, fmt.Errorf("read experiments: %w", errors.Join(err, e))
		}
		log.Warn("the experiments that were kept cannot be read; they are set aside", "file", aside, "error", err)
		return nil, nil
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
	if err == nil {
		err = wholefile.Write(r.opts.Path, text)
	}
	if err != nil {
		r.opts.Log.Error("experiments not kept", "error", err)
	}
}
