package main

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// httpManners are the ways in which a module proxy answers its requests.
var httpManners = map[string]http.HandlerFunc{
	"modules":      serveModules,
	"empty":        serveNothing,
	"forbidden":    refuse(http.StatusForbidden, "this repository needs a token"),
	"rate-limited": refuse(http.StatusTooManyRequests, "too many requests"),
	"server-error": refuse(http.StatusBadGateway, "upstream connect error"),
	"block-page":   page(http.StatusForbidden, filterText),
	"html":         page(http.StatusOK, "Welcome to the artifact repository. Please sign in."),
	"portal": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://login.portal.example/hotspot?continue="+url.QueryEscape(r.URL.String()), http.StatusFound)
	},
	"truncated-zip": serveTruncatedZip,
	"stream-error":  abortZip,
	"tampered-zip":  serveTamperedZip,

	"redirect-zip":   redirectZips,
	"storage":        serveStorage,
	"redirect-sso":   redirectToSignOn,
	"redirect-plain": redirectToPlain,
	"redirect-loop":  redirectForever,

	"block-page-gzip":  squeezed(page(http.StatusForbidden, filterText)),
	"modules-gzip":     squeezed(serveModules),
	"vendor-page":      rawPage(http.StatusForbidden, fortiGuard),
	"not-from-here":    rawPage(http.StatusForbidden, notFromHere, "Server", "ESF"),
	"legal":            rawPage(http.StatusUnavailableForLegalReasons, notFromHere, "Link", `<https://lab.example/order>; rel="blocked-by"`),
	"challenge":        rawPage(http.StatusForbidden, challenge, "Server", "cloudflare", "Cf-Mitigated", "challenge"),
	"balancer":         rawPage(http.StatusServiceUnavailable, balancerText, "Retry-After", "30"),
	"slow-down":        rawPage(http.StatusTooManyRequests, "Too many requests\n", "Content-Type", "text/plain; charset=utf-8", "Retry-After", "120"),
	"zip-page":         except(".zip", page(http.StatusOK, "Welcome to the artifact repository.")),
	"mod-page":         except(".mod", page(http.StatusOK, "Welcome to the artifact repository.")),
	"json-error":       except(".info", words("application/json", `{"error":"no such repository","code":1404}`)),
	"empty-info":       except(".info", words("application/json", "")),
	"latest-only":      serveLatestOnly,
	"big-zip":          except(".zip", serveBigZip),
	"gone":             refuse(http.StatusGone, "not found: module example.com/lab/greeting: no matching versions"),
	"login-required":   refuse(http.StatusUnauthorized, "authentication required"),
	"filter-200":       page(http.StatusOK, filterText),
	"filter-451":       page(http.StatusUnavailableForLegalReasons, filterText),
	"network-login":    page(http.StatusNetworkAuthenticationRequired, "Log in to the network to go on."),
	"to-block-page":    redirectToBlockPage,
	"plain-forbidden":  rawPage(http.StatusForbidden, "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"),
	"renamed":          redirectToMirror,
	"zip-as-text":      except(".zip", serveZipAsText),
	"no-sumdb":         exceptBelow("/sumdb/", refuse(http.StatusForbidden, "the checksum database is not mirrored for you")),
	"sumdb-fails":      exceptBelow("/sumdb/", rawPage(http.StatusServiceUnavailable, balancerText)),
	"list-garbage":     except("/list", words("text/plain; charset=utf-8", "{\"versions\":[]}\n")),
	"bad-request":      refuse(http.StatusBadRequest, "bad request"),
	"teapot":           refuse(http.StatusTeapot, "no"),
	"internal":         refuse(http.StatusInternalServerError, "internal error"),
	"gateway-timeout":  rawPage(http.StatusGatewayTimeout, "<html><head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n<center><h1>504 Gateway Time-out</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"),
	"filter-302":       redirectToFilter,
	"filter-503":       page(http.StatusServiceUnavailable, filterText),
	"meta-refresh":     rawPage(http.StatusOK, metaRefresh),
	"portal-200":       rawPage(http.StatusOK, portalForm),
	"git-login":        rawPage(http.StatusUnauthorized, "HTTP Basic: Access denied\n", "Content-Type", "text/plain", "WWW-Authenticate", `Basic realm="GitLab"`),
	"sign-in-page":     rawPage(http.StatusOK, signIn),
	"storage-tampered": serveOtherStorage,
	"tampered-mod":     except(".mod", words("text/plain; charset=utf-8", moduleFile+"\nrequire example.com/lab/evil v1.0.0\n")),
	"wrong-info":       except(".info", words("application/json", `{"Version":"v9.9.9","Time":"2026-01-02T03:04:05Z"}`)),
	"zip-forbidden":    except(".zip", refuse(http.StatusForbidden, "no")),
	"zip-404":          except(".zip", serveNothing),
	"zip-500":          except(".zip", refuse(http.StatusInternalServerError, "internal error")),
	"zip-429":          except(".zip", refuse(http.StatusTooManyRequests, "slow down")),
	"zip-filtered":     except(".zip", page(http.StatusForbidden, filterText)),
	"zip-dead-storage": serveZipFromStorage,
	"chunked-cut":      serveChunkedCut,
	"empty-zip":        except(".zip", words("application/zip", "")),
	"empty-mod":        except(".mod", words("text/plain; charset=utf-8", "")),
	"empty-200":        words("text/plain; charset=utf-8", ""),
	"garbage-zip":      except(".zip", words("application/zip", "PK\x03\x04this is not an archive")),
	"big-tampered":     serveBigTampered,
	"meta-vcs":         words("text/html; charset=utf-8", `<html><head><meta name="go-import" content="go.vanity.example/kit git https://github.com/vanity/kit"></head></html>`),
	"slow-modules":     serveSlowly,
	"error-html-404":   rawPage(http.StatusNotFound, "<html><head><title>404 Not Found</title></head><body><center>nginx</center></body></html>\n"),
	"hang":             except(".info", hang),
	"hang-zip":         except(".zip", hangInZip),
	"steady-zip":       except(".zip", serveSteadyZip),

	"zip-added":          serveZip(zipAdded),
	"zip-removed":        serveZip(zipRemoved),
	"zip-inner-mod":      serveZip(zipInnerMod),
	"zip-recompressed":   serveZip(zipRecompressed),
	"zip-outside":        serveZip(zipOutside),
	"zip-twins":          serveZip(zipTwins),
	"zip-short":          serveZip(zipShort),
	"tampered-info":      except(".info", words("application/json", `{"Version":"`+moduleVersion+`","Time":"2031-01-02T03:04:05Z","Origin":{"VCS":"git","URL":"https://git.evil.example/greeting"}}`)),
	"tampered-toolchain": serveTamperedToolchain,
}

// The module that the cases of the lab ask for, served in the protocol of `go help goproxy`.
const (
	modulePath    = "example.com/lab/greeting"
	moduleVersion = "v1.0.0"
	moduleFile    = "module " + modulePath + "\n\ngo 1.21\n"
	moduleInfo    = `{"Version":"` + moduleVersion + `","Time":"2026-01-02T03:04:05Z"}`
	moduleSource  = "// Package greeting greets.\npackage greeting\n\n// Text is the greeting.\nconst Text = \"hello\"\n"
)

func serveNothing(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "not found", http.StatusNotFound)
}

func answer(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	// A failed write shows in the recording.
	_, _ = w.Write(body)
}

// serveTruncatedZip promises the whole zip and closes after half of it.
func serveTruncatedZip(w http.ResponseWriter, r *http.Request) {
	if body := zipAskedFor(r, moduleSource); body != nil {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		return
	}
	serveModules(w, r)
}

// abortZip ends the zip's stream with an error: RST_STREAM in HTTP/2.
func abortZip(w http.ResponseWriter, r *http.Request) {
	if body := zipAskedFor(r, moduleSource); body != nil {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	serveModules(w, r)
}

// serveTamperedZip serves a sound zip with another content.
func serveTamperedZip(w http.ResponseWriter, r *http.Request) {
	if body := zipAskedFor(r, moduleSource+"\nfunc init() { println(Text) }\n"); body != nil {
		answer(w, "application/zip", body)
		return
	}
	serveModules(w, r)
}

// zipAskedFor is the module's zip if the request is for it, else nil.
func zipAskedFor(r *http.Request, source string) []byte {
	if r.URL.Path != "/"+modulePath+"/@v/"+moduleVersion+".zip" {
		return nil
	}
	body, err := moduleZip(source)
	if err != nil {
		return nil
	}
	return body
}

// serveChunkedCut begins a zip without a length and ends the connection in its middle.
func serveChunkedCut(w http.ResponseWriter, r *http.Request) {
	if body := zipAskedFor(r, moduleSource); body != nil {
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	serveModules(w, r)
}

// serveSlowly serves what it is asked for after a second.
func serveSlowly(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Second)
	serveModules(w, r)
}

func refuse(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, status) }
}

func page(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<!DOCTYPE html>\n<html><head><title>Notice</title></head><body><h1>Notice</h1><p>" + text + "</p></body></html>\n"))
	}
}
