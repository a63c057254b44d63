package store

import (
	"container/list"
	"database/sql/driver"
)

// fullStmt is what both drivers' statements can do.
type fullStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type keptStatement struct {
	fullStmt
	query string
}

// keptStatements are the prepared statements of one connection that nobody uses
// right now. When there are too many, the one unused the longest goes. Like a
// connection, they belong to one goroutine at a time.
type keptStatements struct {
	limit   int
	byQuery map[string]*list.Element
	recent  *list.List // front: used last
}

func newKeptStatements(limit int) *keptStatements {
	return &keptStatements{limit: limit, byQuery: map[string]*list.Element{}, recent: list.New()}
}

func (k *keptStatements) take(query string) *keptStatement {
	at := k.byQuery[query]
	if at == nil {
		return nil
	}
	delete(k.byQuery, query)
	return k.recent.Remove(at).(*keptStatement)
}

// put keeps s and returns the statement that must be closed instead, if any.
func (k *keptStatements) put(s *keptStatement) *keptStatement {
	if k.byQuery[s.query] != nil {
		return s // a second copy, from a query inside of the same query
	}
	k.byQuery[s.query] = k.recent.PushFront(s)
	if k.recent.Len() <= k.limit {
		return nil
	}
	oldest := k.recent.Remove(k.recent.Back()).(*keptStatement)
	delete(k.byQuery, oldest.query)
	return oldest
}

func (k *keptStatements) all() []*keptStatement {
	var out []*keptStatement
	for at := k.recent.Front(); at != nil; at = at.Next() {
		out = append(out, at.Value.(*keptStatement))
	}
	return out
}
