//! The servers that a URL names: each is tried for its part of the time, so that one that is silent does not take all of it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Notification, Socket};

use super::fault::{Fault, Sql};
use super::tls::Tls;

pub(super) const PORT: u16 = 5432;
/// How long a connection may take to be there, all servers together where there are few.
const PATIENCE: Duration = Duration::from_secs(5);
/// The least that one server gets.
const LEAST: Duration = Duration::from_secs(2);

/// A socket to the server, driven to its end.
pub(super) type Driver =
    std::pin::Pin<Box<dyn Future<Output = std::result::Result<(), tokio_postgres::Error>> + Send>>;

type Heard<'a> = Option<&'a mpsc::UnboundedSender<Notification>>;

/// The servers, in the order in which they are tried.
#[derive(Clone)]
pub(super) struct Ways {
    servers: Vec<Server>,
    /// How long one of them may take.
    share: Duration,
    shuffled: bool,
}

#[derive(Clone)]
struct Server {
    config: Config,
    port: u16,
}

impl Ways {
    /// Takes the URL's servers apart; where that cannot be, what would be right.
    pub(super) fn of(config: &Config) -> Result<Ways, &'static str> {
        let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
        let count = hosts.len().max(addresses.len());
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            return Err("host and hostaddr name as many servers each");
        }
        if ports.len() > 1 && ports.len() != count {
            return Err("port is one for all servers, or one for each");
        }
        let parts = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let share = match config.get_connect_timeout() {
            Some(asked) => *asked,
            None => (PATIENCE / parts).max(LEAST),
        };
        Ok(Ways {
            servers: (0..count).map(|at| alone(config, at, share)).collect(),
            share,
            shuffled: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
        })
    }

    /// How long it may take until one of them was reached.
    pub(super) fn patience(&self) -> Duration {
        let parts = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        self.share.saturating_mul(parts)
    }

    /// A connection to the first that can be used; with `heard` one that listens.
    pub(super) async fn first(&self, tls: Option<&Tls>, heard: Heard<'_>) -> Sql<(Client, Driver)> {
        let mut order: Vec<&Server> = self.servers.iter().collect();
        if self.shuffled {
            fastrand::shuffle(&mut order);
        }
        let mut fault = Fault::Broken("the URL names no server".to_owned());
        for server in order {
            let next = match tokio::time::timeout(self.share, server.connect(tls, heard)).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(next)) => next,
                Err(_) => Fault::Broken(format!("no connection within {:.1} s", self.share.as_secs_f64())),
            };
            // What a server said is worth more than that another one is silent.
            if fault.code().is_none() {
                fault = next;
            }
        }
        Err(fault)
    }
}

impl Server {
    async fn connect(&self, tls: Option<&Tls>, heard: Heard<'_>) -> Sql<(Client, Driver)> {
        Ok(match tls {
            Some(tls) => {
                let tls = Tls {
                    port: self.port,
                    ..tls.clone()
                };
                let (client, connection) = self.config.connect(tls).await?;
                (client, driver(connection, heard))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                (client, driver(connection, heard))
            }
        })
    }
}

fn driver<S>(mut connection: Connection<Socket, S>, heard: Heard<'_>) -> Driver
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(heard) = heard.cloned() else {
        return Box::pin(connection);
    };
    Box::pin(async move {
        while let Some(message) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message? {
                // Nobody listens any more when the store is being closed.
                let _ = heard.send(notification);
            }
        }
        Ok(())
    })
}

/// The same for one of the servers alone.
fn alone(whole: &Config, at: usize, share: Duration) -> Server {
    let mut config = Config::new();
    match whole.get_hosts().get(at) {
        Some(Host::Tcp(name)) => drop(config.host(name)),
        Some(Host::Unix(path)) => drop(config.host_path(path)),
        None => {}
    }
    if let Some(address) = whole.get_hostaddrs().get(at) {
        config.hostaddr(*address);
    }
    let ports = whole.get_ports();
    let port = ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
    config.port(port);
    if let Some(user) = whole.get_user() {
        config.user(user);
    }
    if let Some(password) = whole.get_password() {
        config.password(password);
    }
    if let Some(name) = whole.get_dbname() {
        config.dbname(name);
    }
    if let Some(options) = whole.get_options() {
        config.options(options);
    }
    if let Some(name) = whole.get_application_name() {
        config.application_name(name);
    }
    if let Some(timeout) = whole.get_tcp_user_timeout() {
        config.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = whole.get_keepalives_interval() {
        config.keepalives_interval(interval);
    }
    if let Some(retries) = whole.get_keepalives_retries() {
        config.keepalives_retries(retries);
    }
    config.keepalives(whole.get_keepalives());
    config.keepalives_idle(whole.get_keepalives_idle());
    config.ssl_mode(whole.get_ssl_mode());
    config.ssl_negotiation(whole.get_ssl_negotiation());
    config.channel_binding(whole.get_channel_binding());
    // A name may stand for two addresses, of which one is silent.
    config.connect_timeout(share / 2);
    let several = whole.get_hosts().len().max(whole.get_hostaddrs().len()) > 1;
    config.target_session_attrs(match whole.get_target_session_attrs() {
        // Of several servers one that can be written is looked for.
        TargetSessionAttrs::Any if several => TargetSessionAttrs::ReadWrite,
        asked => asked,
    });
    Server { config, port }
}
