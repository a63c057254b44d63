// Package flame reads a profile as people look at it: a tree of calls in which
// each function is as wide as what it cost, and a table of the functions.
package flame

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

const (
	// maxBytes bounds a profile that is unpacked, maxDepth a stack: what called
	// deeper counts for the last frame.
	maxBytes, maxDepth = 64 << 20, 256
)

// Profile is one value of a profile, as a tree.
type Profile struct {
	// Value is what is counted ("cpu", "inuse_space"), Unit its unit:
	// "nanoseconds", "bytes" or "count". Values are all that the profile has.
	Value, Unit string
	Values      []string
	Total       int64
	// Root stands for the whole.
	Root      *Frame
	functions map[string]*Function
}

// Frame is a function as it was called from its parent.
type Frame struct {
	// ID names the frame by the way to it, and stays while that is there.
	ID string
	// Name is the function's, with its package: "net/http.(*conn).serve".
	Name string
	// Total is what it cost with all that it called, Self without.
	Total, Self int64
	Parent      *Frame
	// Children are those that it called, the most expensive first.
	Children []*Frame
	below    map[string]*Frame
}

// Function is a function, wherever it was called.
type Function struct {
	Name, File string
	Line       int64
	// Flat is what it cost itself, Cum with all that it called.
	Flat, Cum int64
	// Frame is the most expensive of its frames.
	Frame *Frame
}

// Read reads what pprof has written. The value that is not named is the one that
// the profile is about: of memory bytes, of waiting time.
func Read(data []byte, value string) (*Profile, error) {
	p, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read the profile: %w", err)
	}
	if len(p.SampleType) == 0 {
		return nil, errors.New("read the profile: it counts nothing")
	}
	out := &Profile{Root: &Frame{ID: "all", Name: "all", below: map[string]*Frame{}}, functions: map[string]*Function{}}
	for _, t := range p.SampleType {
		out.Values = append(out.Values, t.Type)
	}
	i := index(p, value)
	out.Value, out.Unit = p.SampleType[i].Type, p.SampleType[i].Unit
	for _, s := range p.Sample {
		if v := s.Value[i]; v > 0 {
			out.add(stack(s), v)
		}
	}
	out.Total = out.Root.Total
	out.settle(out.Root)
	return out, nil
}

func parse(data []byte) (*profile.Profile, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(unpacked, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxBytes {
		return nil, fmt.Errorf("it has more than %d MiB", maxBytes>>20)
	}
	p, err := profile.ParseUncompressed(raw)
	if err != nil {
		return nil, err
	}
	return p, p.CheckValid()
}

func index(p *profile.Profile, value string) int {
	for _, name := range []string{value, p.DefaultSampleType, "inuse_space", "delay"} {
		i := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return name != "" && t.Type == name })
		if i >= 0 {
			return i
		}
	}
	return len(p.SampleType) - 1
}

// line is a function at work.
type line struct {
	name, file string
	number     int64
}

// stack is a sample's calls, the outermost first; inlined ones are there, too.
func stack(s *profile.Sample) []line {
	var out []line
	for _, l := range slices.Backward(s.Location) {
		if len(l.Line) == 0 {
			out = append(out, line{name: "0x" + strconv.FormatUint(l.Address, 16)})
		}
		for _, one := range slices.Backward(l.Line) {
			if one.Function == nil {
				continue
			}
			out = append(out, line{one.Function.Name, one.Function.Filename, one.Line})
		}
	}
	if len(out) > maxDepth {
		out = out[:maxDepth]
	}
	return out
}

func (p *Profile) add(calls []line, v int64) {
	at := p.Root
	at.Total += v
	seen := map[string]bool{}
	for _, c := range calls {
		next := at.below[c.name]
		if next == nil {
			next = &Frame{ID: id(at.ID, c.name), Name: c.name, Parent: at, below: map[string]*Frame{}}
			at.below[c.name] = next
			at.Children = append(at.Children, next)
		}
		next.Total += v
		f := p.functions[c.name]
		if f == nil {
			f = &Function{Name: c.name, File: c.file, Line: c.number}
			p.functions[c.name] = f
		}
		if !seen[c.name] { // who calls itself counts once
			seen[c.name] = true
			f.Cum += v
		}
		at = next
	}
	at.Self += v
	if f := p.functions[at.Name]; f != nil && at != p.Root {
		f.Flat += v
	}
}

// id is that of a frame below another.
func id(parent, name string) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, parent+"\x00"+name)
	return strconv.FormatUint(h.Sum64(), 36)
}

// settle orders the frames, and finds each function's most expensive one.
func (p *Profile) settle(f *Frame) {
	slices.SortFunc(f.Children, func(a, b *Frame) int { return cmp.Or(cmp.Compare(b.Total, a.Total), strings.Compare(a.Name, b.Name)) })
	for _, c := range f.Children {
		if fn := p.functions[c.Name]; fn.Frame == nil || fn.Frame.Total < c.Total {
			fn.Frame = c
		}
		p.settle(c)
	}
}

// Functions are all of them; those that cost most themselves come first.
func (p *Profile) Functions() []*Function {
	out := make([]*Function, 0, len(p.functions))
	for _, f := range p.functions {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *Function) int {
		return cmp.Or(cmp.Compare(b.Flat, a.Flat), cmp.Compare(b.Cum, a.Cum), strings.Compare(a.Name, b.Name))
	})
	return out
}

// Find returns the frame of an id, nil where there is none.
func (p *Profile) Find(id string) *Frame { return p.Root.find(id) }

func (f *Frame) find(id string) *Frame {
	if f.ID == id {
		return f
	}
	for _, c := range f.Children {
		if found := c.find(id); found != nil {
			return found
		}
	}
	return nil
}

// Package is a function's package: "net/http".
func Package(function string) string {
	function, _, _ = strings.Cut(function, "[")
	slash := strings.LastIndexByte(function, '/')
	dot := strings.IndexByte(function[slash+1:], '.')
	if dot < 0 {
		return function
	}
	return function[:slash+1+dot]
}

// Short is a function's name without the folders of its package:
// "http.(*conn).serve".
func Short(function string) string {
	before, brackets, generic := strings.Cut(function, "[")
	short := before[strings.LastIndexByte(before, '/')+1:]
	if generic {
		short += "[" + brackets
	}
	return short
}
