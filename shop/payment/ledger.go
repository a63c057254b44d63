package main

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/gowarren/warren/rpc"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// accountKind says whose money an account holds.
type accountKind string

const (
	walletAccount accountKind = "wallet" // what a customer can spend
	heldAccount   accountKind = "held"   // what is set aside of it
	salesAccount  accountKind = "sales"  // the shop's
	cardsAccount  accountKind = "cards"  // where money comes from: below zero by all that came
)

// stripes is over how many accounts sales, and cards, of a currency are spread,
// so that customers don't wait for one another.
const stripes = 16

// account is a place where money is.
type account struct {
	id       string
	kind     accountKind
	currency string
	balance  int64
	entries  int64 // how many there are
}

func walletOf(customer, currency string) account {
	return account{id: "wallet/" + customer, kind: walletAccount, currency: currency}
}

func heldOf(customer, currency string) account {
	return account{id: "held/" + customer, kind: heldAccount, currency: currency}
}

// striped returns the account of the shop that a payment, or a top-up, goes
// through: always the same one.
func striped(kind accountKind, currency, reference string) account {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(reference)) // never goes wrong
	return account{id: string(kind) + "/" + currency + "/" + strconv.Itoa(int(sum.Sum32()%stripes)), kind: kind, currency: currency}
}

// apply moves money into an account or out of it.
func (a account) apply(amount int64, currency string) (account, error) {
	if a.currency != currency {
		return a, rpc.Errorf(paymentv1.Reason_OTHER_CURRENCY, "the wallet is in %s, not in %s", a.currency, currency)
	}
	balance, fits := sum(a.balance, amount)
	switch {
	case !fits:
		return a, fmt.Errorf("account %s can't hold so much", a.id)
	case a.kind == walletAccount && balance < 0:
		return a, rpc.Errorf(paymentv1.Reason_INSUFFICIENT_FUNDS, "the wallet has less than %s", money{-amount, currency})
	case a.kind == walletAccount && balance > maxWallet:
		return a, rpc.Errorf(paymentv1.Reason_WALLET_FULL, "a wallet holds %s at most", money{maxWallet, currency})
	case a.kind != cardsAccount && balance < 0:
		return a, fmt.Errorf("account %s would be below zero", a.id)
	}
	a.balance = balance
	a.entries++
	return a, nil
}

// leg is one entry to be: what an account gets, or gives if it is below zero.
type leg struct {
	account account
	amount  int64
}

// posting is a transaction of the ledger to be.
type posting struct {
	kind      paymentv1.EntryKind
	reference string // a top-up, a payment or a refund: of each kind there is one
	currency  string
	legs      []leg
}

// moving returns the posting that moves an amount from one account to another.
func moving(kind paymentv1.EntryKind, reference string, amount money, from, to account) posting {
	return posting{kind: kind, reference: reference, currency: amount.currency, legs: []leg{{from, -amount.units}, {to, amount.units}}}
}

// id makes sure that nothing is posted twice: it is a key of the table.
func (p posting) id() string { return p.kind.String() + "/" + p.reference }

var errUnbalanced = errors.New("credits and debits differ")

// check refuses a posting that would make money or let it disappear.
func (p posting) check() error {
	var total int64
	for _, l := range p.legs {
		if l.amount == 0 || l.amount > maxAmount || l.amount < -maxAmount {
			return fmt.Errorf("post %s: an entry of %d", p.id(), l.amount)
		}
		var fits bool
		if total, fits = sum(total, l.amount); !fits {
			return fmt.Errorf("post %s: %w", p.id(), errUnbalanced)
		}
	}
	if total != 0 || len(p.legs) < 2 {
		return fmt.Errorf("post %s: %w", p.id(), errUnbalanced)
	}
	sorted := p.sorted()
	for i := 1; i < len(sorted); i++ {
		if sorted[i-1].account.id == sorted[i].account.id {
			return fmt.Errorf("post %s: account %s stands in it twice", p.id(), sorted[i].account.id)
		}
	}
	return nil
}

// sorted returns the legs in the order in which accounts are locked.
func (p posting) sorted() []leg {
	return slices.SortedFunc(slices.Values(p.legs), func(a, b leg) int { return cmp.Compare(a.account.id, b.account.id) })
}
