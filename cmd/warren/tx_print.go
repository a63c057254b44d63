package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// stateName is a state as a person writes it.
func stateName(s txnv1.State) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "STATE_"))
}

func branchState(s txnv1.BranchState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "BRANCH_STATE_"))
}

func opName(op txnv1.Op) string { return strings.ToLower(strings.TrimPrefix(op.String(), "OP_")) }

// standing is where a transaction is, and whether it moves.
func standing(t *txnv1.Transaction) string {
	if t.GetParked() {
		return stateName(t.GetState()) + " (parked)"
	}
	return stateName(t.GetState())
}

func printTransactions(w io.Writer, all []*txnv1.Transaction) error {
	t := newTable(w, "TRANSACTION", "STATE", "AGE", "WHY")
	for _, one := range all {
		t.row(one.GetGid(), standing(one), ageOf(one.GetCreateTime()), oneLine(because(one)))
	}
	return t.flush()
}

// because says why a transaction does not simply go on.
func because(t *txnv1.Transaction) string {
	if t.GetReasonBranch() == "" || t.GetReason() == "" {
		return t.GetReason()
	}
	return t.GetReasonBranch() + ": " + t.GetReason()
}

func printTransaction(w io.Writer, shown *txnv1.ShowResponse) error {
	t := shown.GetTransaction()
	lines := []string{
		fmt.Sprintf("%s is %s, a %s begun %s ago", t.GetGid(), standing(t), patternName(t.GetPattern()), ageOf(t.GetCreateTime())),
	}
	if why := because(t); why != "" {
		lines = append(lines, "because "+oneLine(why))
	}
	if t.GetDeadline() != nil && t.GetEndTime() == nil {
		lines = append(lines, "to be decided by "+clock(t.GetDeadline()))
	}
	if t.GetOwner() != "" {
		lines = append(lines, fmt.Sprintf("carried through by %s, the %d. to do so", t.GetOwner(), t.GetEpoch()))
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n")+"\n")
	return errors.Join(err, printBranches(w, t), printTimeline(w, shown))
}

func patternName(p txnv1.Pattern) string {
	switch p {
	case txnv1.Pattern_PATTERN_SAGA:
		return "saga"
	case txnv1.Pattern_PATTERN_TCC:
		return "TCC"
	case txnv1.Pattern_PATTERN_TWO_PHASE:
		return "two-phase commit"
	}
	return "transaction"
}

func printBranches(w io.Writer, tx *txnv1.Transaction) error {
	t := newTable(w, "STEP", "STATE", "METHOD", "ATTEMPTS", "NEXT", "ERROR")
	for _, b := range tx.GetBranches() {
		name := b.GetName()
		if b.GetPivot() {
			name += " (pivot)"
		}
		next := "-"
		if b.GetNextAttempt() != nil {
			next = clock(b.GetNextAttempt())
		}
		t.row(name, branchState(b.GetState()), strings.TrimPrefix(b.GetMethod(), "/"), strconv.Itoa(int(b.GetAttempts())), next, orDash(oneLine(b.GetError())))
	}
	return t.flush()
}

// event is a line of a transaction's timeline.
type event struct {
	at    time.Time
	cells []string
}

// printTimeline prints what happened: the attempts and the operators' actions in
// one order.
func printTimeline(w io.Writer, shown *txnv1.ShowResponse) error {
	var all []event
	for _, a := range shown.GetAttempts() {
		all = append(all, event{a.GetStartTime().AsTime(), []string{
			clock(a.GetStartTime()), opName(a.GetOp()) + " " + a.GetBranch(), "attempt " + strconv.Itoa(int(a.GetNumber())),
			a.GetTook().AsDuration().Round(time.Millisecond).String(), ended(a), oneLine(a.GetOutcome().GetReason()),
		}})
	}
	for _, a := range shown.GetActions() {
		what := a.GetWhat()
		if a.GetBranch() != "" {
			what += " " + a.GetBranch()
		}
		all = append(all, event{a.GetTime().AsTime(), []string{clock(a.GetTime()), what, "by " + a.GetAuthor(), "", "", oneLine(a.GetReason())}})
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b event) int { return a.at.Compare(b.at) })
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := newTable(w, "TIME", "WHAT", "WHO", "TOOK", "ENDED", "WHY")
	for _, e := range all {
		t.row(e.cells...)
	}
	return t.flush()
}

// ended is the outcome of an attempt, with the code where it says more.
func ended(a *txnv1.Attempt) string {
	kind := strings.ToLower(strings.TrimPrefix(a.GetOutcome().GetKind().String(), "KIND_"))
	if a.GetCode() != 0 {
		return cmp.Or(kind, "-") + " " + codes.Code(a.GetCode()).String()
	}
	return kind
}

// clock is a moment as a person reads it on this machine.
func clock(t *timestamppb.Timestamp) string {
	if t == nil || t.AsTime().Unix() == 0 {
		return "-"
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05.000")
}

func ageOf(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return age(t.AsTime())
}

// oneLine keeps a text that others wrote within its cell, and from the terminal.
func oneLine(s string) string {
	const enough = 200
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if r := []rune(s); len(r) > enough {
		return string(r[:enough]) + "…"
	}
	return s
}
