package console

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// profileKinds are the kinds of profiles as people choose them.
func profileKinds() []string { return []string{"cpu", "heap", "allocs", "goroutine", "mutex", "block"} }

func kindName(kind observev1.ProfileKind) string {
	return strings.ToLower(strings.TrimPrefix(kind.String(), "PROFILE_KIND_"))
}

// kindTitle says what a profile tells of.
func kindTitle(kind observev1.ProfileKind) string {
	titles := map[observev1.ProfileKind]string{
		observev1.ProfileKind_PROFILE_KIND_CPU: "Processor time", observev1.ProfileKind_PROFILE_KIND_HEAP: "Memory in use",
		observev1.ProfileKind_PROFILE_KIND_ALLOCS: "Allocations", observev1.ProfileKind_PROFILE_KIND_GOROUTINE: "Goroutines",
		observev1.ProfileKind_PROFILE_KIND_MUTEX: "Mutexes that others waited for", observev1.ProfileKind_PROFILE_KIND_BLOCK: "Waiting",
	}
	return titles[kind]
}

func profileHref(id string) string { return "/profiles/" + url.PathEscape(id) }

// profileTable lists the profiles that are kept of an instance.
func profileTable(all []*observev1.Profile, of string) *frame.Table {
	t := &frame.Table{
		Caption: "Profiles",
		Columns: []frame.Column{
			{Title: "Profile", Fixed: true}, {Title: "Taken", Fixed: true}, {Title: "Over", Number: true, Fixed: true},
			{Title: "Size", Number: true, Fixed: true, Wide: true},
		},
		Empty: frame.Empty{
			Title: "No profile was taken yet", Text: "A profile shows which functions a process spends its time and memory on, as a flame graph.",
			Code: "warren profile " + of + " --kind cpu --seconds 5",
		},
		Note: strconv.Itoa(len(all)),
	}
	for _, p := range all {
		over := "–"
		if p.GetDuration() != nil {
			over = frame.Span(p.GetDuration().AsDuration())
		}
		t.Rows = append(t.Rows, frame.Row{ID: "profile-" + p.GetId(), Href: profileHref(p.GetId()), Cells: []frame.Cell{
			{Text: kindTitle(p.GetKind()), Sub: kindName(p.GetKind())}, frame.At(p.GetTime().AsTime()), frame.Text(over),
			frame.Measured(float64(p.GetSize()), "B"),
		}})
	}
	return t
}

// profileAction takes a profile of an instance, and shows it.
func (s *screens) profileAction() frame.Action {
	id := func(r *frame.Request) string { return r.PathValue("service") + "/" + r.PathValue("number") }
	return frame.Action{
		Name: "profile", Path: "/services/{service}/{number}/profile", Needs: frame.Operator,
		Ask: func(r *frame.Request) (frame.Form, error) {
			kind := r.Get("kind")
			if !slices.Contains(profileKinds(), kind) {
				kind = profileKinds()[0]
			}
			return frame.Form{
				Title: "Profile " + id(r), Submit: "Record", Back: "/services/" + id(r),
				Says: []string{"While it is recorded, the process is slower by a few per cent; then the flame graph is shown."},
				Fields: []frame.Field{
					{Name: "kind", Label: "Of what", Kind: "choice", Choices: profileKinds(), Value: kind,
						Help: "Heap and goroutine are of one moment, the others are recorded."},
					{
						Name: "seconds", Label: "For how many seconds", Kind: "number", Value: "5",
						Help: "The setting profiles.duration.max says how many at most, usually 30.",
					},
				},
			}, nil
		},
		Do: func(r *frame.Request) (frame.Outcome, error) {
			seconds, err := strconv.ParseFloat(strings.TrimSpace(r.PostForm.Get("seconds")), 64)
			if err != nil || !(seconds >= 0 && seconds <= time.Hour.Seconds()) { // how many it may be is the system's to say
				return frame.Outcome{}, &frame.Problem{Status: 422, Title: "Not a number", Text: "For how many seconds? Want a number such as 5 or 0.5."}
			}
			kind := observev1.ProfileKind_value["PROFILE_KIND_"+strings.ToUpper(r.PostForm.Get("kind"))]
			taken, err := s.profiles.Take(r.Context(), &observev1.TakeProfileRequest{
				Instance: id(r), Kind: observev1.ProfileKind(kind), Duration: durationpb.New(time.Duration(seconds * float64(time.Second))),
				Author: r.Caller.Name, Reason: r.Reason(),
			})
			if err != nil {
				return frame.Outcome{}, err
			}
			return frame.Outcome{
				Title: fmt.Sprintf("The profile of %s is there", id(r)), Back: "/services/" + id(r), To: profileHref(taken.GetProfile().GetId()),
			}, nil
		},
	}
}
