use super::*;

const LIMIT: Duration = Duration::from_secs(60);

fn keeper() -> Keeper {
    let (delivers, _) = mpsc::channel(1);
    let (says_wishes, _) = mpsc::channel(1);
    let (says, _) = watch::channel(Arc::default());
    let mut keeper = Keeper::new("test", Clock::start(), delivers, says_wishes, says);
    keeper.settings.address = Some("127.0.0.1:1".parse().unwrap());
    keeper
}

#[tokio::test]
async fn a_call_is_noticed_behind_connections_that_end() {
    let mut tasks = JoinSet::new();
    tasks.spawn(async { None });
    tasks.spawn(std::future::pending()).abort();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    tasks.spawn(async move {
        let _ = gone.await;
        Some((LinkId(7), Err("refused".to_owned())))
    });
    let noticing = tokio::spawn(async move { next_called(&mut tasks).await.0 });
    // Both others have ended by then.
    tokio::task::yield_now().await;
    go.send(()).unwrap();
    let noticed = tokio::time::timeout(LIMIT, noticing).await;
    assert_eq!(noticed.unwrap().unwrap(), LinkId(7));
}

#[tokio::test]
async fn who_knocks_without_a_key_puts_off_no_call() {
    let mut keeper = keeper();
    keeper.call_later();
    let (planned, rest) = (keeper.call_at, keeper.rest);
    assert!(planned.is_some());
    for number in 1..9 {
        let task = keeper.tasks.spawn(std::future::pending());
        keeper.opening.push((LinkId(number), task));
        keeper.ended(LinkId(number), "it said nothing".to_owned());
    }
    assert_eq!((keeper.call_at, keeper.rest), (planned, rest));
    assert_eq!(keeper.view.strangers, 8);
}

#[tokio::test]
async fn a_call_that_comes_to_no_connection_is_followed_by_another() {
    let mut keeper = keeper();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (reports, _) = mpsc::channel(1);
    keeper.call = Some(LinkId(1));
    // The key could not be read meanwhile.
    keeper.called(LinkId(1), Ok(stream.unwrap()), &reports);
    assert_eq!(keeper.call, None);
    assert!(keeper.call_at.is_some());
}
