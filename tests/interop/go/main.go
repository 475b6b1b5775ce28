// The scenario of an OAuth client with golang.org/x/oauth2 and of a resource server with coreos/go-oidc: discovery,
// client credentials with private_key_jwt, verification with the published keys, a call with the token; then the same
// with something altered, which has to be refused.
//
// usage: interop-go < what.json
//
// Prints one JSON object: what was seen, and under "refused" what came of each altered attempt.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// told is what the test says.
type told struct {
	Issuer    string `json:"issuer"`
	ClientID  string `json:"client_id"`
	ClientKey string `json:"client_key"`
	KeyID     string `json:"kid"`
	Resource  string `json:"resource"`
	Scope     string `json:"scope"`
	Target    string `json:"target"`
	API       string `json:"open_api"`
}

func main() {
	var what told
	must(json.NewDecoder(os.Stdin).Decode(&what))
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, what.Issuer)
	must(err)
	block, _ := pem.Decode([]byte(what.ClientKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(err)
	source := oauth2.ReuseTokenSource(nil, fresh{func() *clientcredentials.Config { return credentials(what, provider, key) }})

	token, err := source.Token()
	must(err)
	verifier := func(audience string) *oidc.IDTokenVerifier {
		return provider.Verifier(&oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.ES256}})
	}
	verified, err := verifier(what.Resource).Verify(ctx, token.AccessToken)
	must(err)

	response, err := oauth2.NewClient(ctx, source).Get(what.API)
	must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(err)
	var echoed map[string]any
	must(json.Unmarshal(body, &echoed))

	altered := alter(token.AccessToken)
	_, otherIssuer := oidc.NewProvider(ctx, strings.Replace(what.Issuer, "127.0.0.1", "localhost", 1))
	_, alteredToken := verifier(what.Resource).Verify(ctx, altered)
	_, otherAudience := verifier(what.Target).Verify(ctx, token.AccessToken)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, otherKey := credentials(what, provider, stranger).Token(ctx)
	refused, err := oauth2.NewClient(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: altered})).Get(what.API)
	must(err)
	defer refused.Body.Close()

	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"sub":    verified.Subject,
		"types":  []string{token.Type()},
		"expiry": time.Until(token.Expiry) > 0,
		"echoed": echoed,
		"status": response.StatusCode,
		"refused": map[string]any{
			"another_issuer":     said(otherIssuer),
			"altered_token":      said(alteredToken),
			"another_audience":   said(otherAudience),
			"another_client_key": code(otherKey),
			"altered_at_the_api": refused.StatusCode,
		},
	}))
}

// fresh signs a new assertion for each token: none is good twice.
type fresh struct {
	client func() *clientcredentials.Config
}

func (source fresh) Token() (*oauth2.Token, error) {
	return source.client().Token(context.Background())
}

// credentials is a client that authenticates with an assertion (RFC 7523), signed for one request.
func credentials(what told, provider *oidc.Provider, key any) *clientcredentials.Config {
	parameters := url.Values{
		"resource":              {what.Resource},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion(what, key)},
	}
	return &clientcredentials.Config{
		ClientID:       what.ClientID,
		TokenURL:       provider.Endpoint().TokenURL,
		Scopes:         []string{what.Scope},
		EndpointParams: parameters,
		AuthStyle:      oauth2.AuthStyleInParams,
	}
}

func assertion(what told, key any) string {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", what.KeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	must(err)
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": what.ClientID, "sub": what.ClientID, "aud": what.Issuer, "jti": rand.Text(), "iat": now, "exp": now + 60,
	})
	must(err)
	signed, err := signer.Sign(claims)
	must(err)
	text, err := signed.CompactSerialize()
	must(err)
	return text
}

// alter changes one byte of the signature.
func alter(token string) string {
	parts := strings.Split(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	must(err)
	signature[40] ^= 1
	parts[2] = base64.RawURLEncoding.EncodeToString(signature)
	return strings.Join(parts, ".")
}

func said(err error) string {
	if err == nil {
		return "nothing was refused"
	}
	return err.Error()
}

func code(err error) string {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return refused.ErrorCode
	}
	return fmt.Sprintf("no OAuth error: %v", err)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
