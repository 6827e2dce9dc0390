//! [`HttpTransport`]: requests through ureq, an agent for each network policy, redirects by casehook's rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use url::Url;
use zeroize::Zeroize;

use super::NetworkPolicy;
use super::connect::Dialer;
use super::failure::closed;
use super::live::Live;
use super::phase::{self, Cause, Exchange};
use super::resolve::{Addresses, Names, Unresolved};
use super::token::{Token, TokenGrant, Tokens};
use super::{
    Answer, BodyFault, Failure, FailureKind, Method, Request, Transport, body, head, proxied, redirect,
};
use crate::mask::mask_cut;

/// How many network policies keep their connections; the one used longest ago goes first.
const MAX_AGENTS: usize = 64;

/// How long a connection waits for its next request, well below the 5 s after which common servers close
/// theirs: a request that meets a closing server is lost, and whether it was heard is not known.
const IDLE: Duration = Duration::from_secs(3);

/// The largest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The most headers of an answer, as ureq has it.
const MAX_HEADERS: usize = 128;

/// Sends requests over HTTP/1.1.
pub(crate) struct HttpTransport {
    workers: usize,
    live: Arc<Live>,
    names: Arc<Names>,
    tokens: Tokens,
    agents: Mutex<Agents>,
}

#[derive(Default)]
struct Agents {
    by_policy: HashMap<Arc<NetworkPolicy>, (u64, ureq::Agent)>,
    uses: u64,
}

impl HttpTransport {
    /// For `workers` threads that send at once; as many idle connections to one server are kept.
    pub(crate) fn new(workers: usize) -> HttpTransport {
        HttpTransport::with(workers, Names::of_system())
    }

    pub(super) fn with(workers: usize, names: Names) -> HttpTransport {
        HttpTransport {
            workers: workers.max(1),
            live: Arc::default(),
            names: Arc::new(names),
            tokens: Tokens::default(),
            agents: Mutex::default(),
        }
    }

    /// Sends with an access token; one that is refused is fetched anew, once.
    fn with_token(&self, request: &Request, grant: &TokenGrant, end: Instant) -> Result<Answer, Failure> {
        let token = self.token(request, grant, None, end)?;
        match self.carrying(request, &token, None, end)? {
            // Who never saw the token says nothing about it.
            (Answer { status: 401, .. }, Carried::Everything) => {
                let next = self.token(request, grant, Some(&token), end)?;
                let (answer, _) = self.carrying(request, &next, Some(&token), end)?;
                Ok(answer)
            }
            (answer, _) => Ok(answer),
        }
    }

    fn carrying(
        &self,
        request: &Request,
        token: &Token,
        before: Option<&Token>,
        end: Instant,
    ) -> Result<(Answer, Carried), Failure> {
        let mut request = request.clone();
        request.headers.push(token.field());
        let masks = token.masks(before);
        match self.follow(&request, end) {
            Ok((answer, carried)) => Ok((
                Answer {
                    tokens: masks,
                    ..answer
                },
                carried,
            )),
            Err(failure) => Err(Failure {
                message: mask_cut(&failure.message, &masks),
                ..failure
            }),
        }
    }

    /// Nothing of the request has been sent while this fails.
    fn token(
        &self,
        request: &Request,
        grant: &TokenGrant,
        refused: Option<&Arc<Token>>,
        end: Instant,
    ) -> Result<Arc<Token>, Failure> {
        self.tokens.get(grant, &request.network, refused, || {
            let mut asking = grant.request(&request.network);
            let began = Instant::now();
            let answer = permit(&asking.network, &asking.url).and_then(|()| {
                let time = asking.network.limits.response;
                let carried = Carried::Everything;
                self.exchange(&asking, &asking.network, &asking.url, carried, (time, end))
            });
            asking.body.zeroize();
            answer
                .map_err(|failure| Failure {
                    kind: match failure.kind {
                        FailureKind::Refused | FailureKind::Redirect | FailureKind::Credentials => {
                            FailureKind::Credentials
                        }
                        _ => FailureKind::NotConnected,
                    },
                    message: format!(
                        "no access token from {}: {}",
                        redirect::named(&asking.url),
                        failure.message
                    ),
                    ..failure
                })
                .and_then(|answer| grant.read(&answer, began))
        })
    }

    /// Sends, and follows redirects as long as they may be followed.
    pub(super) fn follow(&self, request: &Request, end: Instant) -> Result<(Answer, Carried), Failure> {
        let mut url = request.url.clone();
        let mut network = Arc::clone(&request.network);
        let mut carried = Carried::Everything;
        let mut response_left = request.network.limits.response;
        let mut led_here: Option<(u16, Url)> = None;
        let mut hops = 0;
        loop {
            permit(&network, &url).map_err(|failure| on_hop(failure, led_here.as_ref()))?;
            let began = Instant::now();
            if response_left.is_zero() || began >= end {
                return Err(too_late(&url));
            }
            let answer = self
                .exchange(request, &network, &url, carried, (response_left, end))
                .map_err(|failure| on_hop(failure, led_here.as_ref()))?;
            log::debug!(
                "{} {}: {} in {} ms",
                request.method.as_str(),
                redirect::named(&url),
                answer.status,
                began.elapsed().as_millis()
            );
            let Some(target) = redirect::next(request.method, &url, &answer)? else {
                return Ok((answer, carried));
            };
            hops += 1;
            if hops > redirect::MAX_HOPS {
                return Err(redirect::too_many(answer.status, &target));
            }
            response_left = response_left.saturating_sub(began.elapsed());
            if target.origin() != url.origin() {
                carried = Carried::WhatTravels;
                network = without_identity(network);
            }
            led_here = Some((answer.status, target.clone()));
            url = target;
        }
    }

    /// One request and its answer, which may take that time and not last beyond that end.
    fn exchange(
        &self,
        request: &Request,
        network: &Arc<NetworkPolicy>,
        url: &Url,
        carried: Carried,
        (response, end): (Duration, Instant),
    ) -> Result<Answer, Failure> {
        let limits = &network.limits;
        let agent = self.agent(network)?;
        let mut exchange = Exchange::new(limits.connect, response, end);
        let head = head::write(request, url, carried == Carried::Everything, &mut exchange)?;
        let (outcome, exchange) = phase::run(exchange, || {
            let response = match (&request.body, request.method) {
                (Some(body), _) => agent.run(head.map(|()| body.as_slice())),
                (None, Method::Get) => agent.run(head),
                (None, _) => agent.run(head.map(|()| &[][..])),
            }?;
            let (parts, body) = response.into_parts();
            let (raw, error) = body::read(body.into_reader(), limits.body_bytes);
            Ok((parts, raw, error))
        });
        match outcome {
            Ok((parts, raw, cut)) => {
                let answer = self.answer(&parts, raw, cut, limits.body_bytes, &exchange)?;
                let proxy = network.proxy.as_ref().filter(|_| exchange.forwarded);
                match proxy.and_then(|proxy| proxied::own_failure(&proxy.named(), &answer)) {
                    Some(failure) => Err(failure),
                    None => Ok(answer),
                }
            }
            Err(error) => self.no_answer(&error, exchange),
        }
    }

    fn answer(
        &self,
        head: &ureq::http::response::Parts,
        raw: Vec<u8>,
        cut: Option<std::io::Error>,
        limit: u64,
        exchange: &Exchange,
    ) -> Result<Answer, Failure> {
        let status = head.status.as_u16();
        let headers = head::read(&head.headers);
        let encodings: Vec<&str> = headers
            .iter()
            .filter(|(name, _)| name == "content-encoding")
            .map(|(_, v)| v.as_str())
            .collect();
        let (body, body_fault) = match cut {
            None => body::decode(raw, &encodings.join(","), limit),
            Some(error) if !is_protocol(&error) && (200..300).contains(&status) => {
                return Err(self.lost(&error, exchange));
            }
            Some(error) => (
                raw,
                Some(BodyFault::Broken(format!("the body was cut short: {error}"))),
            ),
        };
        Ok(Answer {
            status,
            headers,
            body,
            body_fault,
            tokens: Arc::default(),
        })
    }

    /// Why there is no answer; or an answer after all, when it began well enough to know its status.
    fn no_answer(&self, error: &ureq::Error, exchange: Exchange) -> Result<Answer, Failure> {
        if let Some(failure) = exchange.failure {
            return Err(failure);
        }
        match error {
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) if exchange.written > 0 => {
                match exchange.status() {
                    Some(status) => Ok(Answer {
                        status,
                        headers: Vec::new(),
                        body: Vec::new(),
                        body_fault: Some(BodyFault::Broken(format!(
                            "the answer's head cannot be read: {error} ({} KiB and {MAX_HEADERS} headers are taken)",
                            MAX_HEAD / 1024
                        ))),
                        tokens: Arc::default(),
                    }),
                    None => {
                        let message = format!("what the server answered is not HTTP/1.1: {error}");
                        Err(Failure {
                            message,
                            ..self.lost(error, &exchange)
                        })
                    }
                }
            }
            ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
                Err(head::unsendable(error.to_string()))
            }
            _ => Err(self.lost(error, &exchange)),
        }
    }

    fn lost(&self, error: &dyn std::fmt::Display, exchange: &Exchange) -> Failure {
        let kind = exchange.loss();
        let (code, message) = match exchange.cause {
            _ if self.live.is_closed() && kind != FailureKind::Lost => return closed(),
            _ if self.live.is_closed() => (
                "closed",
                "casehook was closed while it waited for the answer".to_owned(),
            ),
            Some(Cause::TimedOut) => (
                "responseTimeout",
                "the answer did not arrive in full within the response time-out".to_owned(),
            ),
            _ => (
                "connectionLost",
                format!("the connection was lost before the answer was complete: {error}"),
            ),
        };
        Failure {
            kind,
            code,
            message,
            status: None,
        }
    }

    fn agent(&self, policy: &Arc<NetworkPolicy>) -> Result<ureq::Agent, Failure> {
        let mut agents = self.lock();
        if self.live.is_closed() {
            return Err(closed());
        }
        agents.uses += 1;
        let now = agents.uses;
        if let Some((used, agent)) = agents.by_policy.get_mut(policy) {
            *used = now;
            return Ok(agent.clone());
        }
        if agents.by_policy.len() >= MAX_AGENTS {
            let oldest = agents
                .by_policy
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(policy, _)| Arc::clone(policy));
            oldest.and_then(|policy| agents.by_policy.remove(&policy));
        }
        let agent = self.new_agent(policy);
        agents.by_policy.insert(Arc::clone(policy), (now, agent.clone()));
        Ok(agent)
    }

    fn new_agent(&self, policy: &Arc<NetworkPolicy>) -> ureq::Agent {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The environment's proxy is not the connector's.
            .proxy(None)
            .user_agent(concat!("casehook/", env!("CARGO_PKG_VERSION")))
            .accept("application/json, */*")
            .max_response_header_size(MAX_HEAD)
            .max_idle_connections(self.workers * 8)
            .max_idle_connections_per_host(self.workers)
            .max_idle_age(IDLE)
            .build();
        let addresses = Addresses {
            names: Arc::clone(&self.names),
            live: Arc::clone(&self.live),
            deny_private: policy.deny_private_addresses,
        };
        let dialer = Dialer::new(Arc::clone(&self.live), addresses, Arc::clone(policy));
        ureq::Agent::with_parts(config, dialer, Unresolved)
    }

    fn lock(&self) -> MutexGuard<'_, Agents> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let began = Instant::now();
        let has_authorization = |request: &Request| {
            let mut names = request.headers.iter().map(|field| field.name.as_str());
            names.any(|name| name.eq_ignore_ascii_case("authorization"))
        };
        let limits = &request.network.limits;
        let end = phase::after(began, limits.connect.saturating_add(limits.response));
        let result = match &request.token {
            Some(grant) if !has_authorization(request) => self.with_token(request, grant, end),
            _ => self.follow(request, end).map(|(answer, _)| answer),
        };
        result.inspect_err(|failure| {
            log::debug!(
                "{} {}: {} in {} ms",
                request.method.as_str(),
                redirect::named(&request.url),
                failure.code,
                began.elapsed().as_millis()
            );
        })
    }

    fn shutdown(&self) {
        self.live.close();
        let agents = std::mem::take(&mut self.lock().by_policy);
        drop(agents);
    }
}

/// Which of a request's headers a hop got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    Everything,
    /// A redirect led to another origin.
    WhatTravels,
}

/// No time is left to ask this URL; whoever led here has not acted on the request.
fn too_late(url: &Url) -> Failure {
    Failure {
        kind: FailureKind::NotWritten,
        code: "responseTimeout",
        message: format!(
            "time ran out before {} could be asked: access token and redirects count as well",
            redirect::named(url)
        ),
        status: None,
    }
}

/// What every hop's URL is asked before anything else.
fn permit(policy: &NetworkPolicy, url: &Url) -> Result<(), Failure> {
    let refused = |code, message| {
        Err(Failure {
            kind: FailureKind::Refused,
            code,
            message,
            status: None,
        })
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refused(
            "request",
            format!("{} is neither http nor https", redirect::named(url)),
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused(
            "request",
            "the URL carries a user name or password; use secrets instead".to_owned(),
        );
    }
    if !policy.allowed_hosts.allows(url) {
        let host = policy.allowed_hosts.named(url);
        return refused("hostNotAllowed", format!("allowedHosts does not have {host}"));
    }
    Ok(())
}

/// The client's certificate is for the connector's own URLs, like its headers.
fn without_identity(policy: Arc<NetworkPolicy>) -> Arc<NetworkPolicy> {
    if policy.tls.identity.is_none() {
        return policy;
    }
    let mut policy = NetworkPolicy::clone(&policy);
    policy.tls.identity = None;
    Arc::new(policy)
}

/// Names where a redirect led. What casehook itself refuses there is a redirect that must not be followed.
fn on_hop(failure: Failure, led_here: Option<&(u16, Url)>) -> Failure {
    let Some((status, target)) = led_here else {
        return failure;
    };
    let message = format!(
        "after a redirect to {}: {}",
        redirect::named(target),
        failure.message
    );
    match failure.kind {
        FailureKind::Refused => Failure {
            kind: FailureKind::Redirect,
            status: Some(*status),
            message,
            ..failure
        },
        _ => Failure { message, ..failure },
    }
}

fn is_protocol(error: &std::io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(inner, Some(ureq::Error::Protocol(_)))
}
