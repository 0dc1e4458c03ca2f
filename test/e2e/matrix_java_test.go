package e2e_test

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

// A JVM reads no proxy variable, trusts only its own file of roots, and has no way to send the credential with CONNECT: it is
// let in because the kernel says that its process is one of the run's.

const javaHTTPClient = `
import java.net.URI;
import java.net.http.*;
class Call {
  public static void main(String[] args) throws Exception {
    var r = HttpRequest.newBuilder(URI.create("https://api.test/echo")).header("Authorization", "Bearer " + System.getenv("API_KEY")).build();
    System.out.println(HttpClient.newHttpClient().send(r, HttpResponse.BodyHandlers.ofString()).body());
  }
}`

const javaURLConnection = `
import java.net.URI;
class Call {
  public static void main(String[] args) throws Exception {
    var c = URI.create("https://api.test/echo").toURL().openConnection();
    c.setRequestProperty("Authorization", "Bearer " + System.getenv("API_KEY"));
    System.out.println(new String(c.getInputStream().readAllBytes()));
  }
}`

// javaCall runs a program as source, for which the JVM has its compiler in it.
func javaCall(source string) func(t *testing.T, c *attempt) []string {
	return func(t *testing.T, c *attempt) []string {
		t.Helper()
		return []string{java(t), c.write(t, "Call.java", source)}
	}
}

// java is a JVM with a compiler.
func java(t *testing.T) string {
	t.Helper()
	bed.Program(t, "javac")
	return bed.Program(t, "java")
}

const mavenPOM = "/repo/test/parent/1/parent-1.pom"

// mavenSettings have the mask as a password, and room for more.
const mavenSettings = `<settings><servers><server><id>private</id><username>ci</username><password>${env.API_KEY}</password></server></servers>%s</settings>`

// mavenCall has Maven resolve the parent of a project, which is nowhere but in a repository that asks for a password.
func mavenCall(t *testing.T, c *attempt) []string {
	t.Helper()
	mvn := bed.Program(t, "mvn")
	pom := []byte(`<project><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>parent</artifactId><version>1</version><packaging>pom</packaging></project>`)
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte("ci:"+c.value))
	c.Origin.SetFile(mavenPOM, origin.File{Type: "text/xml", Body: pom, Auth: auth})
	c.Origin.SetFile(mavenPOM+".sha1", origin.File{Type: "text/plain", Body: fmt.Appendf(nil, "%x", sha1.Sum(pom)), Auth: auth})
	settings := c.write(t, "settings.xml", fmt.Sprintf(mavenSettings, ""))
	if err := os.Mkdir(c.Path("home/project"), 0o700); err != nil {
		t.Fatal(err)
	}
	project := c.write(t, "project/pom.xml", `<project><modelVersion>4.0.0</modelVersion>
<parent><groupId>test</groupId><artifactId>parent</artifactId><version>1</version><relativePath/></parent><artifactId>child</artifactId><packaging>pom</packaging>
<repositories><repository><id>private</id><url>https://api.test/repo</url></repository></repositories></project>`)
	// HOME is not asked by a JVM: what an earlier run has fetched must not be found.
	return []string{mvn, "-Dmaven.repo.local=" + c.Path("home/repository"), "--batch-mode", "-q", "-s", settings, "-f", filepath.Dir(project), "validate"}
}

// javaRows are the JVM's clients.
func javaRows() []row {
	return []row{
		{client: "Java HttpClient", version: told("java", "-version"), call: javaCall(javaHTTPClient)},
		{client: "Java HttpURLConnection", version: told("java", "-version"), call: javaCall(javaURLConnection)},
		{client: "Maven", version: told("mvn", "--version"), call: mavenCall, path: mavenPOM, sees: unseen, carries: basicPassword},
	}
}
