package main

import (
	"time"

	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// checkCard refuses what can't be a card, before the provider is asked. What is
// wrong is told without the number.
func checkCard(card *paymentv1.Card, now time.Time) error {
	if !luhn(card.GetNumber()) {
		return refuse(paymentv1.Reason_BAD_CARD, "card.number", "the number is no card's: is a digit wrong?")
	}
	// A card is good until its month ends.
	ends := time.Date(int(card.GetExpiryYear()), time.Month(card.GetExpiryMonth())+1, 1, 0, 0, 0, 0, time.UTC)
	if !now.Before(ends) {
		return refuse(paymentv1.Reason_BAD_CARD, "card.expiry_year", "the card has expired")
	}
	return nil
}

// luhn checks the last digit of a card's number, after ISO/IEC 7812-1.
func luhn(number string) bool {
	total := 0
	for i := range len(number) {
		digit := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			if digit *= 2; digit > 9 {
				digit -= 9
			}
		}
		total += digit
	}
	return number != "" && total%10 == 0
}

func lastFour(number string) string { return number[max(0, len(number)-4):] }
