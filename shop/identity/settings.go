package main

import (
	"time"

	"github.com/gowarren/warren/config"
)

// maxAccessLife bounds how long an access token can live, and so for how long a
// key must be known after it signed its last one.
const maxAccessLife = time.Hour

var (
	settingIssuer     = config.String("identity.issuer", "shop", "who issues the tokens; the auth block of the system file expects it")
	settingAudience   = config.String("identity.audience", "shop", "whom the tokens are for; the auth block of the system file expects it")
	settingAccessLife = config.Duration("identity.access.life", 10*time.Minute, time.Minute, maxAccessLife,
		"how long an access token lives; what a user was allowed, or a session that ended, lives on for as long")
	settingRefreshLife = config.Duration("identity.refresh.life", 30*24*time.Hour, time.Hour, 366*24*time.Hour,
		"how long a session lives after it was last refreshed")
	settingKeyAge = config.Duration("identity.keys.age", 30*24*time.Hour, time.Hour, 366*24*time.Hour,
		"how long a key signs tokens before another one takes over")
	settingAttempts = config.Int("identity.sign_in.attempts", 10, 1, 1000,
		"how often one account may be tried from one address within identity.sign_in.window before it is closed to that address until the window ends")
	settingAccountAttempts = config.Int("identity.sign_in.account_attempts", 200, 1, 1_000_000,
		"how often one account may be tried in vain from all addresses within identity.sign_in.window before it is closed until the window ends")
	settingWindow = config.Duration("identity.sign_in.window", 5*time.Minute, time.Second, 24*time.Hour,
		"the window of identity.sign_in.attempts and identity.sign_in.account_attempts")
	settingQueue = config.Int("identity.password.queue", 64, 0, 10_000,
		"how many passwords may wait to be hashed before callers are sent away")
	settingMemory = config.Int("identity.password.memory", 19*1024, 8*1024, 1024*1024,
		"memory of one password hash in KiB; hashes with other parameters are renewed when their user signs in")
	settingIterations = config.Int("identity.password.iterations", 2, 1, 100,
		"passes of one password hash over its memory; hashes with other parameters are renewed when their user signs in")
)

// settings are the values in force.
type settings struct {
	issuer, audience          *config.Value[string]
	accessLife, refreshLife   *config.Value[time.Duration]
	keyAge, window            *config.Value[time.Duration]
	attempts, accountAttempts *config.Value[int]
	queue, memory, iterations *config.Value[int]
}

func watchSettings(from *config.Settings) *settings {
	all := config.Scope{}
	return &settings{
		issuer:          config.Watch(from, settingIssuer, all),
		audience:        config.Watch(from, settingAudience, all),
		accessLife:      config.Watch(from, settingAccessLife, all),
		refreshLife:     config.Watch(from, settingRefreshLife, all),
		keyAge:          config.Watch(from, settingKeyAge, all),
		window:          config.Watch(from, settingWindow, all),
		attempts:        config.Watch(from, settingAttempts, all),
		accountAttempts: config.Watch(from, settingAccountAttempts, all),
		queue:           config.Watch(from, settingQueue, all),
		memory:          config.Watch(from, settingMemory, all),
		iterations:      config.Watch(from, settingIterations, all),
	}
}

// mostRefreshes is how many used refresh tokens of one session are remembered
// at most: twice what a client needs that refreshes whenever its access token
// has ended, and never so few that one who refreshes at each start feels it.
func (s *settings) mostRefreshes() int {
	return max(2*int(s.refreshLife.Get()/s.accessLife.Get()), 1000)
}
