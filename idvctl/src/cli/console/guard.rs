//! Who may see and use the console: whoever has this start's token, from a page of the console itself.
//!
//! A page of somebody else's cannot act through it: its requests carry another origin, or no cookie (`SameSite=Strict`), or
//! another host (a name that was made to lead here).

use idv_callback::lambda::HttpMessage;
use sha2::{Digest as _, Sha256};

use crate::embedded::Reply;

/// The secrets of one start.
pub(super) struct Guard {
    token: String,
    /// The name of the cookie: ports share cookies.
    cookie: String,
    /// What the address is written as: `127.0.0.1:PORT`, `localhost:PORT`.
    hosts: [String; 2],
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The host is not this console's.
    Host,
    /// It comes from another page.
    Origin,
    /// It does not have this start's token.
    Token,
}

impl Refused {
    pub(super) fn reply(self) -> Reply {
        let text = match self {
            Self::Host => "This console answers to its own address alone.",
            Self::Origin => "This request comes from another page. Nothing was done.",
            Self::Token => {
                "Open the address that `idvctl console` or `idvctl dev` printed when it started: its token is \
                 good once, for one browser. To open it in another one, start the console again."
            }
        };
        super::plain(if matches!(self, Self::Host) { 421 } else { 403 }, "text/plain; charset=utf-8", text)
    }
}

impl Guard {
    pub(super) fn new(token: String, port: u16) -> Self {
        Self {
            token,
            cookie: format!("idv-console-{port}"),
            hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
        }
    }

    /// The address that a person opens.
    pub(super) fn address(&self) -> String {
        let [host, _] = &self.hosts;
        format!("http://{host}/start/{}", self.token)
    }

    /// The cookie that takes the place of the token in the address.
    pub(super) fn set_cookie(&self) -> String {
        format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, self.token)
    }

    /// What every form carries beside the cookie.
    pub(super) fn form_token(&self) -> String {
        idv_callback::hex::hex(&Sha256::digest(format!("idv-console/form\n{}", self.token)))
    }

    /// Whether this is the token.
    pub(super) fn is_token(&self, token: &str) -> bool {
        same(token, &self.token)
    }

    /// Whether a request is for this address: before anything else is looked at.
    pub(super) fn host(&self, request: &HttpMessage) -> Result<(), Refused> {
        let host = one(request, "host").unwrap_or_default();
        if self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) { Ok(()) } else { Err(Refused::Host) }
    }

    /// Whether a request may be answered.
    pub(super) fn check(&self, request: &HttpMessage) -> Result<(), Refused> {
        self.host(request)?;
        let own = |origin: &str| {
            origin.strip_prefix("http://").is_some_and(|host| self.hosts.iter().any(|own| own == host))
        };
        let origin = one(request, "origin");
        let same_site =
            one(request, "sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
        let changes = request.method != "GET";
        if !same_site || origin.is_some_and(|origin| !own(origin)) || (changes && origin.is_none()) {
            return Err(Refused::Origin);
        }
        let cookies = one(request, "cookie").unwrap_or_default();
        let mut cookies = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        let held = cookies.find(|(name, _)| *name == self.cookie).map(|(_, value)| value);
        if held.is_some_and(|held| self.is_token(held)) { Ok(()) } else { Err(Refused::Token) }
    }

    /// Whether a form is one that this console wrote.
    pub(super) fn check_form(&self, token: Option<&str>) -> Result<(), Refused> {
        let own = self.form_token();
        if token.is_some_and(|token| same(token, &own)) { Ok(()) } else { Err(Refused::Origin) }
    }
}

/// A header field that stands once.
fn one<'m>(request: &'m HttpMessage, name: &str) -> Option<&'m str> {
    let mut values = request.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
    let value = values.next()?;
    values.next().is_none().then_some(value.1.as_str())
}

/// Compares digests, so that the time it takes says nothing of the text.
fn same(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}
