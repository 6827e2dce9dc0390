//! Advice on redirects.

use url::Url;

use super::Exchange;
use super::evidence::redirect;

pub(super) fn to_https(at: &Exchange<'_>) -> Option<String> {
    let (from, to) = redirect(at)?;
    let secure = from.scheme() == "http" && to.scheme() == "https" && from.host_str() == to.host_str();
    secure.then(|| {
        format!(
            "write https:// in {}Url, and in the other URLs: the server sends http there, and a write must not follow",
            at.stem()
        )
    })
}

pub(super) fn slash_redirect(at: &Exchange<'_>) -> Option<String> {
    let (from, to) = redirect(at)?;
    let bare = |url: &Url| url.path().trim_end_matches('/').to_owned();
    let same = from.origin() == to.origin() && bare(&from) == bare(&to) && from.path() != to.path();
    same.then(|| match to.path().ends_with('/') {
        true => format!("end the path in {}Url with a slash", at.stem()),
        false => format!("take the slash off the end of the path in {}Url", at.stem()),
    })
}

pub(super) fn other_redirect(at: &Exchange<'_>) -> Option<String> {
    if let Some((_, to)) = redirect(at) {
        if ["login", "signin", "sign_in", "sso", "saml", "auth"]
            .iter()
            .any(|word| to.path().contains(word))
        {
            return Some(
                "the server sends people to its login page: the credentials are not taken, or this is no address of its API"
                    .to_owned(),
            );
        }
        return Some(format!("put the new address into {}Url", at.stem()));
    }
    (at.code == "redirect").then(|| format!("put the address that it leads to into {}Url", at.stem()))
}
