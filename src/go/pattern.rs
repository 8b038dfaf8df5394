//! GOPRIVATE, GONOPROXY, GONOSUMDB, GOINSECURE: comma-separated glob patterns of module path prefixes.

/// Whether a pattern of the list matches a prefix of the module path with as many elements as the pattern has
/// (golang.org/x/mod/module `MatchPrefixPatterns`). Blanks count, as they do there; malformed patterns match nothing.
#[must_use]
pub fn matches_prefix(patterns: &str, path: &str) -> bool {
    matching_pattern(patterns, path).is_some()
}

/// The first pattern of the list that matches, as [`matches_prefix`] has it.
#[must_use]
pub fn matching_pattern<'a>(patterns: &'a str, path: &str) -> Option<&'a str> {
    patterns.split(',').find(|pattern| {
        let glob = pattern.strip_suffix('/').unwrap_or(pattern);
        if glob.is_empty() {
            return false;
        }
        let wanted = glob.matches('/').count();
        let prefix = match path.match_indices('/').nth(wanted) {
            Some((end, _)) => path.split_at(end).0,
            None if path.matches('/').count() == wanted => path,
            None => return false,
        };
        glob_match(glob, prefix)
    })
}

/// Go's `path.Match`: `*` and `?` stop at a slash, `[a-z]` and `[^a-z]` are classes, a backslash takes the next
/// character literally. A malformed pattern does not match.
fn glob_match(glob: &str, name: &str) -> bool {
    let pattern: Vec<char> = glob.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0_usize, 0_usize);
    // Where to go on when what follows the last star did not fit: one character more under the star.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let fits = match pattern.get(p) {
            Some('*') => {
                star = Some((p.saturating_add(1), n));
                p = p.saturating_add(1);
                continue;
            }
            None if n == name.len() => return true,
            None => None,
            Some(_) => match name.get(n) {
                Some(&c) => match one(&pattern, p, c) {
                    Ok(next) => next,
                    Err(Malformed) => return false,
                },
                None => None,
            },
        };
        if let Some(next) = fits {
            p = next;
            n = n.saturating_add(1);
            continue;
        }
        match star {
            Some((after, at)) if name.get(at).is_some_and(|&c| c != '/') => {
                star = Some((after, at.saturating_add(1)));
                p = after;
                n = at.saturating_add(1);
            }
            _ => return false,
        }
    }
}

/// A class without end, or a backslash at the end.
struct Malformed;

/// Whether the pattern element at `p` takes `c`; the position after the element when it does.
fn one(pattern: &[char], p: usize, c: char) -> Result<Option<usize>, Malformed> {
    let after = p.saturating_add(1);
    match pattern.get(p) {
        Some('?') => Ok((c != '/').then_some(after)),
        Some('\\') => match pattern.get(after) {
            Some(&literal) => Ok((literal == c).then_some(after.saturating_add(1))),
            None => Err(Malformed),
        },
        Some('[') => class(pattern, after, c),
        Some(&literal) => Ok((literal == c).then_some(after)),
        None => Ok(None),
    }
}

/// A character class, `at` standing behind its bracket.
fn class(pattern: &[char], at: usize, c: char) -> Result<Option<usize>, Malformed> {
    let (negated, mut at) = if pattern.get(at) == Some(&'^') { (true, at.saturating_add(1)) } else { (false, at) };
    let mut taken = false;
    let mut ranges = 0_u32;
    loop {
        if pattern.get(at) == Some(&']') && ranges > 0 {
            return Ok((taken != negated && c != '/').then_some(at.saturating_add(1)));
        }
        let (low, next) = member(pattern, at)?;
        let (high, next) =
            if pattern.get(next) == Some(&'-') { member(pattern, next.saturating_add(1))? } else { (low, next) };
        taken |= low <= c && c <= high;
        at = next;
        ranges = ranges.saturating_add(1);
    }
}

/// One possibly escaped character of a class, and the position after it.
fn member(pattern: &[char], at: usize) -> Result<(char, usize), Malformed> {
    match pattern.get(at) {
        None | Some('-' | ']') => Err(Malformed),
        Some('\\') => {
            let at = at.saturating_add(1);
            Ok((*pattern.get(at).ok_or(Malformed)?, at.saturating_add(1)))
        }
        Some(&c) => Ok((c, at.saturating_add(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_many_elements_as_they_have() {
        for (patterns, path, expected) in [
            ("corp.example", "corp.example/internal/kit", true),
            ("corp.example", "corp.example.org/kit", false),
            ("*.corp.example", "git.corp.example/kit", true),
            ("*.corp.example", "corp.example/kit", false),
            ("corp.example/a/", "corp.example/a/b", true),
            ("corp.example/a", "corp.example", false),
            ("corp.example/*/kit", "corp.example/x/kit/v2", true),
            ("*", "anything.example/x", true),
            ("*/x", "anything.example/x/y", true),
            ("", "a.b/c", false),
            (",,", "a.b/c", false),
            ("x.y,github.com/me", "github.com/me/tool", true),
            ("x.y, github.com/me", "github.com/me/tool", false),
            ("github.com/[a-m]*", "github.com/golang/go", true),
            ("github.com/[^a-m]*", "github.com/golang/go", false),
            ("github.com/[a-", "github.com/golang/go", false),
            ("github.com/g?lang", "github.com/golang/go", true),
            (r"github.com/\*", "github.com/golang/go", false),
            (r"github.com/\g*", "github.com/golang", true),
            ("a*b*c", "axxbyybzzc/d", true),
            ("a*b*c", "axxbyybzzd/d", false),
        ] {
            assert_eq!(matches_prefix(patterns, path), expected, "{patterns} against {path}");
        }
        assert_eq!(matching_pattern("a.b,corp.example/*", "corp.example/x/y"), Some("corp.example/*"));
    }

    #[test]
    fn many_stars_end_in_time() {
        let pattern = "*a".repeat(2_000);
        assert!(!matches_prefix(&pattern, &"a".repeat(1_999)));
        assert!(matches_prefix(&pattern, &"a".repeat(2_000)));
    }
}
