package txn_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/txn"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

const (
	reserve = fairv1.StallService_Reserve_FullMethodName
	price   = fairv1.StallService_Price_FullMethodName
	hold    = fairv1.PurseService_Hold_FullMethodName
	give    = fairv1.PurseService_Give_FullMethodName
	capture = fairv1.PurseService_Capture_FullMethodName
)

func newSaga() *txn.Saga { return txn.NewSaga("purchase", txn.ID("1")) }

// TestSagaMistakes: a saga that is wrong names the step and what to do about it,
// before anything is sent.
func TestSagaMistakes(t *testing.T) {
	reserving, holding := &fairv1.ReserveRequest{Id: "1"}, &fairv1.HoldRequest{Id: "1"}
	tests := []struct {
		name  string
		build func() *txn.Saga
		want  string
	}{
		{"no steps", newSaga, "it has no steps; add one with Step"},
		{"bad name", func() *txn.Saga { return txn.NewSaga("Bad/name") }, `"Bad/name" is no name for transactions; use 1 to 64 lower-case`},
		{"long id", func() *txn.Saga { return txn.NewSaga("purchase", txn.ID(strings.Repeat("x", 120))) }, "128 bytes at most"},
		{"id of bad bytes", func() *txn.Saga { return txn.NewSaga("purchase", txn.ID("\xff")) }, "use valid UTF-8"},
		{"deadline", func() *txn.Saga { return txn.NewSaga("purchase", txn.Deadline(-time.Second)) }, "the deadline -1s is out of range"},
		{"empty lock", func() *txn.Saga { return txn.NewSaga("purchase", txn.Lock("", 0)) }, `lock "": a key is valid UTF-8 of 1 to 256 bytes`},
		{"backoff", func() *txn.Saga {
			s := newSaga()
			s.Step("reserve", reserve, reserving, txn.Backoff(time.Minute, time.Second))
			return s
		}, "step reserve: its pauses go from 1m0s to 1s"},
		{"unknown method", func() *txn.Saga {
			s := newSaga()
			s.Step("reserve", "/fair.v1.StallService/Steal", reserving)
			return s
		}, "step reserve: fair.v1.StallService has no method Steal; it has Price, Reserve, Release, Confirm"},
		{"unknown contract", func() *txn.Saga {
			s := newSaga()
			s.Step("reserve", "/fair.v2.StallService/Reserve", reserving)
			return s
		}, "step reserve: the contract fair.v2.StallService is not known; import the package that is generated from it"},
		{"no method", func() *txn.Saga {
			s := newSaga()
			s.Step("reserve", "Reserve", reserving)
			return s
		}, `step reserve: "Reserve" names no method; give the constant …_FullMethodName`},
		{"stream", func() *txn.Saga {
			s := newSaga()
			s.Step("watch", fairv1.PurseService_Watch_FullMethodName, &fairv1.WatchRequest{})
			return s
		}, "step watch: /fair.v1.PurseService/Watch streams"},
		{"wrong message", func() *txn.Saga {
			s := newSaga()
			s.Step("reserve", reserve, holding)
			return s
		}, "step reserve: /fair.v1.StallService/Reserve takes fair.v1.ReserveRequest, not fair.v1.HoldRequest"},
		{"no message", func() *txn.Saga {
			s := newSaga()
			s.Step("reserve", reserve, (*fairv1.ReserveRequest)(nil))
			return s
		}, "step reserve: it has no request; give an empty message"},
		{"two of one name", func() *txn.Saga {
			s := newSaga()
			s.Step("hold", reserve, reserving)
			s.Step("hold", hold, holding)
			return s
		}, "step hold: there are two of that name"},
		{"bad step name", func() *txn.Saga {
			s := newSaga()
			s.Step("1 hold", hold, holding)
			return s
		}, `step "1 hold": the name is made of`},
		{"after a stranger", func() *txn.Saga {
			s := newSaga()
			s.Step("hold", hold, holding, txn.After(newSaga().Step("reserve", reserve, reserving)))
			return s
		}, "step hold: it is to come after a step that is not of this saga"},
		{"after nothing", func() *txn.Saga { // the only way to want a circle
			s := newSaga()
			var later *txn.Step
			s.Step("hold", hold, holding, txn.After(later))
			return s
		}, "step hold: it is to come after a step that is not of this saga"},
		{"no way back", func() *txn.Saga {
			s := newSaga()
			s.Step("give", give, &fairv1.GiveRequest{})
			s.Step("hold", hold, holding)
			return s
		}, "step give: /fair.v1.PurseService/Give has no way back; name its compensate method in its contract, mark the step as the Pivot, put it after the pivot, or say NothingToUndo"},
		{"two pivots", func() *txn.Saga {
			s := newSaga()
			s.Step("give", give, &fairv1.GiveRequest{}, txn.Pivot())
			s.Step("again", give, &fairv1.GiveRequest{}, txn.Pivot())
			return s
		}, "step again: the step give is the pivot already"},
		{"beside the pivot", func() *txn.Saga {
			s := newSaga()
			s.Step("give", give, &fairv1.GiveRequest{}, txn.Pivot())
			s.Step("hold", hold, holding, txn.After())
			return s
		}, "step hold: it is neither before the pivot give nor after it"},
		{"numbers", func() *txn.Saga {
			s := newSaga()
			s.Step("hold", hold, holding, txn.Attempts(-1))
			return s
		}, "step hold: a timeout and a number of attempts are more than 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantMistake(t, tt.build(), tt.want) })
	}
}

// wantMistake checks the saga's error, and that all that would send it have it.
func wantMistake(t *testing.T, s *txn.Saga, want string) {
	t.Helper()
	err := s.Check()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got  %v\nwant …%s…", err, want)
	}
	if got := s.Submit(t.Context(), nil); got == nil || got.Error() != err.Error() {
		t.Errorf("submitted: %v", got)
	}
	if _, got := s.Run(t.Context(), nil); got == nil || got.Error() != err.Error() {
		t.Errorf("run: %v", got)
	}
}

// TestBindingMistakes: fields that do not fit are found when the saga is built.
func TestBindingMistakes(t *testing.T) {
	tests := []struct {
		name          string
		field, answer string
		request       *fairv1.HoldRequest
		want          string
	}{
		{"unknown field", "vouch", "shelf", nil, `step hold: bind vouch to shelf of the step reserve: fair.v1.HoldRequest has no field "vouch"; it has id, purse,`},
		{"unknown answer", "voucher", "voucher", nil, `fair.v1.ReserveResponse has no field "voucher"; it has shelf, place`},
		{"kinds", "amount", "shelf", nil, "the one is int64, the other string; bind fields of one kind"},
		{"numbers", "amount", "place.row", nil, "the one is int64, the other int32"},
		{"list", "voucher", "place.neighbours", nil, "the one is string, the other repeated string"},
		{"messages", "place", "shelf", nil, "the one is message fair.v1.Place, the other string"},
		{"into a list", "notes.x", "shelf", nil, "fair.v1.HoldRequest.notes has no fields of its own"},
		{"said twice", "voucher", "shelf", &fairv1.HoldRequest{Voucher: "v"}, "the field voucher is bound to the step reserve, and its request sets it, too"},
		{"said twice within", "place.row", "place.row", &fairv1.HoldRequest{Place: &fairv1.Place{Row: 1}}, "and its request sets it, too"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSaga()
			from := s.Step("reserve", reserve, &fairv1.ReserveRequest{})
			if tt.request == nil {
				tt.request = &fairv1.HoldRequest{}
			}
			s.Step("hold", hold, tt.request, txn.Bind(tt.field, from, tt.answer))
			wantMistake(t, s, tt.want)
		})
	}
	t.Run("to a stranger", func(t *testing.T) {
		s := newSaga()
		s.Step("hold", hold, &fairv1.HoldRequest{}, txn.Bind("voucher", nil, "shelf"))
		wantMistake(t, s, "step hold: the field voucher is bound to a step that is not of this saga")
	})
	t.Run("of nothing that undoes", func(t *testing.T) {
		s := newSaga()
		s.Step("give", give, &fairv1.GiveRequest{}, txn.Pivot(), txn.BindUndo("voucher", "voucher"))
		wantMistake(t, s, "step give: the field voucher of what undoes it is bound, and nothing undoes it")
	})
	t.Run("what undoes it lacks the field", func(t *testing.T) {
		s := newSaga()
		s.Step("hold", hold, &fairv1.HoldRequest{}, txn.BindUndo("purse", "voucher"))
		wantMistake(t, s, `step hold: bind purse of Void to its answer's voucher: fair.v1.VoidRequest has no field "purse"; it has id, voucher`)
	})
}

// TestSagaTells: all mistakes are told at once.
func TestSagaTellsAllMistakes(t *testing.T) {
	s := txn.NewSaga("Purchase")
	s.Step("reserve", "/fair.v1.StallService/Steal", &fairv1.ReserveRequest{})
	s.Step("hold", hold, &fairv1.ReserveRequest{})
	err := s.Check()
	if got := strings.Count(err.Error(), "\n") + 1; got != 3 {
		t.Errorf("%d mistakes: %v", got, err)
	}
}

// TestSoundSagas: what is right is not refused.
func TestSoundSagas(t *testing.T) {
	tests := map[string]func(*txn.Saga){
		"nothing to undo by contract": func(s *txn.Saga) {
			s.Step("price", price, &fairv1.PriceRequest{})
		},
		"nothing to undo by word": func(s *txn.Saga) {
			s.Step("give", give, &fairv1.GiveRequest{}, txn.NothingToUndo())
		},
		"no way back after the pivot": func(s *txn.Saga) {
			s.Step("reserve", reserve, &fairv1.ReserveRequest{}, txn.Pivot())
			s.Step("give", give, &fairv1.GiveRequest{})
		},
		"graph": func(s *txn.Saga) {
			a := s.Step("reserve", reserve, &fairv1.ReserveRequest{}, txn.Timeout(time.Second), txn.Attempts(3), txn.StepLock("shelf", -1))
			b := s.Step("hold", hold, &fairv1.HoldRequest{}, txn.After(), txn.BindUndo("voucher", "voucher"))
			s.Step("give", give, &fairv1.GiveRequest{}, txn.After(a, b), txn.Pivot())
			s.Step("again", give, &fairv1.GiveRequest{}, txn.Bind("voucher", b, "voucher"))
			s.Step("capture", capture, &fairv1.CaptureRequest{}, txn.Bind("voucher", b, "voucher"))
		},
		"a message is bound whole": func(s *txn.Saga) {
			a := s.Step("reserve", reserve, &fairv1.ReserveRequest{})
			s.Step("hold", hold, &fairv1.HoldRequest{}, txn.Bind("place", a, "place"), txn.Bind("notes", a, "place.neighbours"))
		},
	}
	for name, build := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSaga()
			build(s)
			if err := s.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestIDsDoNotMeet(t *testing.T) {
	ids := []string{
		txn.NewSaga("a", txn.ID("b/c")).ID(), txn.NewSaga("a.b", txn.ID("c")).ID(), txn.NewSaga("a", txn.ID("b")).ID(),
		txn.NewSaga("a").ID(), txn.NewSaga("a").ID(),
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("two transactions have the id %s", id)
		}
		seen[id] = true
	}
}
