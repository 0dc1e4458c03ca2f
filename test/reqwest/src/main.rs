// Gets the URL with API_KEY as its bearer token and prints the answer. With --version it tells
// of reqwest.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("a URL is missing")?;
    if url == "--version" {
        println!("{}", env!("REQWEST_VERSION"));
        return Ok(());
    }
    let key = std::env::var("API_KEY")?;
    let answer = reqwest::blocking::Client::new().get(url).bearer_auth(key).send()?.error_for_status()?;
    print!("{}", answer.text()?);
    Ok(())
}
