package console

import (
	"context"
	"regexp"
	"slices"
	"strings"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

var traceID = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

func (s *screens) gateway(ctx context.Context) string {
	list, err := s.fleet.List(ctx, &fleetv1.ListRequest{})
	if err != nil {
		return ""
	}
	return list.GetSystem().GetGateway()
}

// find leads from what somebody pasted to the page about it.
func (s *screens) find(ctx context.Context, text string) string {
	text = strings.TrimSpace(text)
	if traceID.MatchString(text) {
		return "/traces/" + strings.ToLower(text)
	}
	for _, look := range []func(context.Context, string) string{s.findFleet, s.findTransaction, s.findSetting, s.findContract, s.findEvent} {
		if to := look(ctx, text); to != "" {
			return to
		}
	}
	return "/logs?q=" + queryEscape(`"`+strings.ReplaceAll(text, `"`, "")+`"`)
}

func (s *screens) findFleet(ctx context.Context, text string) string {
	list, err := s.fleet.List(ctx, &fleetv1.ListRequest{})
	if err != nil {
		return ""
	}
	for _, i := range list.GetInstances() {
		if i.GetService() == text {
			return serviceHref(text)
		}
		if i.GetId() == text {
			return instanceHref(i)
		}
	}
	return ""
}

// findTransaction knows a transaction by its id, or by what its id ends with:
// the sagas of an order are called by it.
func (s *screens) findTransaction(ctx context.Context, text string) string {
	if t, err := s.txn.Show(ctx, &txnv1.ShowRequest{Gid: text}); err == nil {
		return txnHref(t.GetTransaction().GetGid())
	}
	const enough = 500
	found, err := s.txn.List(ctx, &txnv1.ListRequest{PageSize: enough})
	if err != nil {
		return ""
	}
	i := slices.IndexFunc(found.GetTransactions(), func(t *txnv1.Transaction) bool {
		return strings.HasSuffix(t.GetGid(), "/"+text) || strings.HasSuffix(t.GetGid(), ":"+text) || strings.HasSuffix(t.GetGid(), "-"+text)
	})
	if i < 0 {
		return ""
	}
	return txnHref(found.GetTransactions()[i].GetGid())
}

func (s *screens) findSetting(ctx context.Context, text string) string {
	list, err := s.settings.List(ctx, &settingsv1.ListRequest{})
	if err != nil {
		return ""
	}
	for _, one := range list.GetSettings() {
		if one.GetName() == text {
			return settingHref(text)
		}
		if strings.HasPrefix(one.GetName(), text) {
			return "/settings?q=" + queryEscape(text)
		}
	}
	return ""
}

func (s *screens) findContract(ctx context.Context, text string) string {
	list, err := s.contracts.List(ctx, &contractsv1.ListRequest{})
	if err != nil {
		return ""
	}
	for _, c := range list.GetContracts() {
		if c.GetName() == text || shortName(c.GetName()) == text {
			return "/contracts/" + c.GetName()
		}
	}
	return ""
}
