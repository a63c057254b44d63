package profiling

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/wholefile"
)

// shelf keeps profiles in a folder: ID.pb.gz is what pprof reads, ID.json what
// is known of it. Ids begin with the time, so that their order is that of age.
type shelf struct {
	dir         string
	kept, bytes func() int
	dropped     func()
	log         *slog.Logger

	mu   sync.Mutex
	room map[string]int64 // of the files of each profile that is kept, by id
}

const data, about = ".pb.gz", ".json"

var idForm = regexp.MustCompile(`^[a-z0-9-]{1,128}$`)

func (s *shelf) open() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("open the folder of profiles: %w", err)
	}
	ids, err := s.ids()
	if err != nil {
		return err
	}
	s.room = map[string]int64{}
	for _, id := range ids {
		s.room[id] = s.bytesOf(id)
	}
	return nil
}

// bytesOf is what the files of a profile take.
func (s *shelf) bytesOf(id string) (out int64) {
	for _, end := range []string{about, data} {
		if info, err := os.Stat(filepath.Join(s.dir, id+end)); err == nil {
			out += info.Size()
		}
	}
	return out
}

// size is how many profiles are kept, and how many bytes they have.
func (s *shelf) size() (n int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.room {
		bytes += one
	}
	return len(s.room), bytes
}

// add keeps a profile, names it, and lets the oldest go.
func (s *shelf) add(p *observev1.Profile, content []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := p.GetTime().AsTime().UTC().Format("20060102-150405.000")
	p.Id = strings.NewReplacer("/", "-", ".", "-").Replace(strings.ToLower(at + "-" + p.GetInstance() + "-" + kindName(p.GetKind())))
	if !idForm.MatchString(p.GetId()) {
		return fmt.Errorf("keep a profile: %q is no name for it", p.GetId())
	}
	text, err := protojson.Marshal(p)
	if err != nil {
		return fmt.Errorf("keep a profile: %w", err)
	}
	if err := wholefile.Write(filepath.Join(s.dir, p.GetId()+data), content); err != nil {
		return fmt.Errorf("keep a profile: %w", err)
	}
	if err := wholefile.Write(filepath.Join(s.dir, p.GetId()+about), text); err != nil {
		return fmt.Errorf("keep a profile: %w", err)
	}
	s.room[p.GetId()] = int64(len(content) + len(text))
	return s.tidy()
}

// tidy lets the oldest go until the rest is within the limits; the newest stays
// in any case.
func (s *shelf) tidy() error {
	ids, err := s.ids()
	if err != nil {
		return err
	}
	room, most := int64(0), int64(s.bytes())
	for i, id := range ids {
		room += s.room[id]
		if i == 0 || i < s.kept() && room <= most {
			continue
		}
		err := errors.Join(os.Remove(filepath.Join(s.dir, id+about)), os.Remove(filepath.Join(s.dir, id+data)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an old profile: %w", err)
		}
		delete(s.room, id)
		s.dropped()
	}
	return nil
}

// ids are those of the profiles that are kept, the newest first.
func (s *shelf) ids() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	var out []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), about); ok && idForm.MatchString(id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out, nil
}

func (s *shelf) list() ([]*observev1.Profile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	var out []*observev1.Profile
	for _, id := range ids {
		p, err := s.read(id)
		if err != nil { // a file that somebody changed hides no other
			s.log.Warn("a profile that is kept can't be read", "profile", id, "error", err.Error())
			continue
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *shelf) read(id string) (*observev1.Profile, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, id+about))
	if err != nil {
		return nil, err
	}
	p := &observev1.Profile{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, p); err != nil {
		return nil, err
	}
	p.Id = id
	return p, nil
}

func (s *shelf) get(id string) (*observev1.Profile, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := status.Errorf(codes.NotFound, "the profile %s is not kept: it was never taken, or it had to make room", id)
	if !idForm.MatchString(id) {
		return nil, nil, gone
	}
	p, err := s.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, gone
	}
	content, unread := os.ReadFile(filepath.Join(s.dir, id+data))
	if err = errors.Join(err, unread); err != nil {
		return nil, nil, status.Error(codes.Unavailable, err.Error())
	}
	return p, content, nil
}
