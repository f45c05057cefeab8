"""Common names of columns and event types."""

from __future__ import annotations

import re
import unicodedata

WORDS = {
    "user_id": r"user|customer|client|household|member|visitor|account|buyer|reviewer|person|shopper|kund|cust|nutzer|"
    r"benutzer|utilisateur|acheteur|usuario|comprador|cliente|utente|klant|gebruiker",
    "item_id": r"item|product|sku|article|artikel|movie|film|book|asin|isbn|track|song|video|content|listing|offer|ad|"
    r"produkt|produit|producto|articulo|prodotto|articolo|produto|artigo",
    "ts": r"time|date|ts|when|at|day|datum|zeit|zeitpunkt|heure|fecha|hora|data|ora|tijd|tijdstip",
    "event_type": r"event|action|type|behavio|kind|activity|ereignis|aktion|vorgang|typ|evenement|evento|accion|tipo|"
    r"azione|acao|actie|gebeurtenis",
    "value": r"quantity|qty|rating|score|stars|amount|count|units|menge|anzahl|stuck|stk|bewertung|quantite|cantidad|"
    r"quantita|quantidade|aantal",
    "price": r"price|cost|preis|unit_price|stuckpreis|einzelpreis|prix|precio|prezzo|preco|prijs",
    "query": r"query|search|keyword|q|suche|suchbegriff|recherche|busqueda|ricerca|busca|zoekterm",
    "position": r"position|pos|rank|slot|platz|rang|posicion|posizione|posicao|positie",
    "session_id": r"session|visit|basket|cart|sitzung|bon|warenkorb|panier|cesta|carrello|carrinho|mandje",
}
"""Contract name -> regex of words in English, German, French, Spanish, Italian, Portuguese and Dutch, unaccented."""
PIECES = r"quantity|qty|amount|count|units|menge|anzahl|stuck|stk|quantite|cantidad|quantita|quantidade|aantal"
"""Names of columns with a number of pieces."""
TOTALS = (
    r"sales|revenue|turnover|umsatz|total|subtotal|gesamtpreis|amount|betrag|paid|spent|spend|extended|montant|importe|"
    r"importo|totale|valor|bedrag|totaal"
)
"""Names of columns with the amount paid for all pieces together."""
ID_WORDS = r"id|key|code|no|num|number|nr|uuid|guid|zip|plz|sku|asin|isbn|ean|upc"
CLOCK_WORDS = r"time|date|ts|timestamp|datetime|datum|zeit|zeitpunkt|heure|fecha|hora|tijd|tijdstip"
"""Names of columns that must hold times, even if many of their values cannot be parsed."""
NOT_TYPES = (
    r"product|produkt|produit|producto|prodotto|produto|item|article|artikel|payment|zahlung|paiement|pago|pagamento|"
    r"betaling|customer|user|device|browser"
)
"""Words in names of columns that do not hold event types, such as product_type."""
COMPOUND = frozenset(("datum", "zeit", "zeitpunkt", "preis", "menge", "anzahl", "prijs"))
"""Words at the end of German and Dutch compounds: Bestelldatum."""
KNOWN_WEIGHTS = {
    "view": 1, "pageview": 1, "page_view": 1, "pv": 1, "click": 1, "detail": 1, "impression": 1, "search": 1,
    "rating": 1, "wishlist": 2, "like": 2, "fav": 3, "favorite": 3, "favourite": 3, "cart": 3, "addtocart": 3,
    "add_to_cart": 3, "purchase": 5, "order": 5, "buy": 5, "transaction": 5,
}  # fmt: skip
"""Well-known event type -> proposed weight."""


def matches(name: str, words: str) -> float:
    """Return 1 if a whole word of the name matches, .5 for the beginning of a word (or end of a compound), else 0."""
    bare = "".join(ch for ch in unicodedata.normalize("NFKD", name) if not unicodedata.combining(ch))  # Stück: Stuck
    parts = [p for p in re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", bare).lower()) if p]
    whole = re.compile(words)
    if any(whole.fullmatch(p) or (p.endswith("id") and whole.fullmatch(p[:-2])) for p in parts):
        return 1.0
    long = [w for w in words.split("|") if len(w) > 3]
    found = any(p.startswith(w) or (w in COMPOUND and p.endswith(w)) for p in parts for w in long)
    return 0.5 if found else 0.0


def matches_item(name: str) -> bool:
    """Return whether the name suggests an item's key."""
    return matches(name, WORDS["item_id"]) == 1


def known_weight(event_type: str) -> int | None:
    """Return the proposed weight of a well-known event type, ignoring case, blanks and dashes; else None."""
    return KNOWN_WEIGHTS.get(event_type.strip().lower().replace(" ", "_").replace("-", "_"))
