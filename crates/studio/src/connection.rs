//! Connections of clients: their number, their time-outs, and their end.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, http::StatusCode};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Sleep, sleep, timeout},
};

use crate::{error::ApiError, limits::ConnectionLimits};

/// Accepts connections and serves a router on each.
pub struct Acceptor {
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    slots: Arc<Semaphore>,
}

impl Acceptor {
    /// Creates an acceptor for a listener.
    pub fn new(listener: TcpListener, router: Router, limits: ConnectionLimits) -> Self {
        Self { listener, router, limits, slots: Arc::new(Semaphore::new(limits.connections)) }
    }

    /// Serves until `stop` completes. Then `stopping` becomes true, on which the router answers new requests with 503, and
    /// requests in progress may end within the time limit.
    pub async fn serve(self, stop: impl Future<Output = ()>, stopping: watch::Sender<bool>) {
        let graceful = GracefulShutdown::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                (stream, slot) = self.accept() => {
                    let connection = graceful.watch(self.connection(stream));
                    tokio::spawn(async move {
                        // An error is a client that disconnected or was too slow.
                        let _ = connection.await;
                        drop(slot);
                    });
                }
                () = &mut stop => break,
            }
        }
        let _ = stopping.send(true);
        let refuse = async {
            loop {
                let (stream, slot) = self.accept().await;
                let connection = self.connection(stream);
                tokio::spawn(async move {
                    let _ = connection.await;
                    drop(slot);
                });
            }
        };
        let drain = async {
            // A graceful shutdown closes connections that have sent nothing yet. One that was just opened gets its 503 first.
            sleep(Duration::from_millis(100)).await;
            graceful.shutdown().await;
        };
        tokio::select! {
            () = drain => {}
            () = refuse => {}
            () = sleep(self.limits.drain) => {}
        }
    }

    fn connection(&self, stream: TcpStream) -> http1::Connection<TokioIo<TimedStream>, TowerToHyperService<Router>> {
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(self.limits.header).serve_connection(
            TokioIo::new(TimedStream::new(stream, self.limits.write)),
            TowerToHyperService::new(self.router.clone()),
        )
    }

    /// Returns the next connection for which there is room.
    async fn accept(&self) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Too many open files: wait until some are closed.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            match Arc::clone(&self.slots).try_acquire_owned() {
                Ok(slot) => return (stream, slot),
                Err(_) => drop(tokio::spawn(reject(stream))),
            }
        }
    }
}

/// Answers with 503, whatever the request is.
async fn reject(mut stream: TcpStream) {
    let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "there are too many connections; try again in a second");
    let body = serde_json::to_string(&error).unwrap_or_default();
    let head =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let _ = timeout(Duration::from_secs(1), async {
        stream.writable().await?;
        // A new connection has room for so few bytes.
        stream.try_write(answer.as_bytes())?;
        poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await?;
        // To close a connection with an unread request would discard the answer.
        let mut buffer = [0; 4096];
        loop {
            stream.readable().await?;
            match stream.try_read(&mut buffer) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    })
    .await;
}

/// A connection whose writes fail if the client accepts nothing for a while.
struct TimedStream {
    stream: TcpStream,
    timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl TimedStream {
    fn new(stream: TcpStream, timeout: Duration) -> Self {
        Self { stream, timeout, stalled: None }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = poll(Pin::new(&mut self.stream), cx);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.timeout)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
