//! What is made of a folder.

use common::port::share::{self, Context, Error, Folder, Limits};

use super::{World, bytes, put, within};

async fn context(world: &dyn World, folder: &Folder) -> Result<Context, Error> {
    within(share::context(world.share(), folder, &Limits::default())).await
}

pub(super) async fn is_the_same_for_the_same_files(world: &dyn World) {
    let mut files: Vec<(String, usize)> =
        (0..12).map(|number| (format!("app/{number}.py"), number * 1000)).collect();
    files.push(("Dockerfile".to_owned(), 20));
    let (first, second) = (world.fresh_folder(), world.fresh_folder());
    for (name, size) in &files {
        put(world, &first, name, bytes(*size, 1)).await;
    }
    for (name, size) in files.iter().rev() {
        put(world, &second, name, bytes(*size, 1)).await;
    }
    put(world, &second, ".hidden", "x").await;
    let made = context(world, &first).await.expect("a context is made");
    assert_eq!(context(world, &second).await.expect("and another"), made, "the same files");
    let named = files.iter().map(|(name, size)| (name.parse().expect("a name"), bytes(*size, 1)));
    assert_eq!(made, Context::of(&named.collect()), "from whatever share");
}

pub(super) async fn is_another_for_other_files(world: &dyn World) {
    let folder = world.fresh_folder();
    put(world, &folder, "Dockerfile", "FROM scratch\n").await;
    let first = context(world, &folder).await.expect("a context is made");
    put(world, &folder, "Dockerfile", "FROM example\n").await;
    let second = context(world, &folder).await.expect("a context is made");
    assert_ne!(second.digest, first.digest, "other bytes");
}

pub(super) async fn fails_where_a_file_is_refused(world: &dyn World) {
    let folder = world.fresh_folder();
    put(world, &folder, "large", bytes(1000, 1)).await;
    let limits = Limits { file_bytes: 999, ..Limits::default() };
    let made = within(share::context(world.share(), &folder, &limits)).await;
    assert!(matches!(made, Err(Error::FileTooLarge { .. })), "it is bounded: {made:?}");
    let missing = context(world, &world.fresh_folder()).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "nothing is made: {missing:?}");
}
