using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Http;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.TestSupport;

namespace MultiCluster.Kubernetes.Tests.Transport;

public sealed class KubeClientTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Get_Answer_GivesBodyAndSendsWhoWeAre()
    {
        IHeaderDictionary? seen = null;
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
        {
            seen = new HeaderDictionary(context.Request.Headers.ToDictionary(h => h.Key, h => h.Value));
            context.Response.Headers.ETag = "\"e1\"";
            context.Response.Headers.Append("Warning", "299 - \"old API\"");
            return context.JsonAsync("{}");
        });
        await using var client = new KubeClient(new ClusterConnection(new Uri(api.Url, "/prefix/"))
        {
            Credentials = KubeCredentials.Bearer("tok"),
            Impersonation = new Impersonation("jané", "u1", ["g1", "g2"], [new("example.com/Scope", "a b")]),
        });
        KubeResponse response = await client.GetAsync("/api/v1/pods?limit=1").WaitAsync(Soon);
        Assert.Equal("{}", Encoding.UTF8.GetString(response.Body.Span));
        Assert.Equal(("\"e1\"", "old API"), (response.ETag, response.Warnings.Single()));
        Assert.Equal(["GET /prefix/api/v1/pods?limit=1"], api.Calls);
        Assert.Equal("Bearer tok", seen!.Authorization.ToString());
        Assert.StartsWith("multicluster/", seen.UserAgent.ToString(), StringComparison.Ordinal);
        Assert.Equal(["g1", "g2"], seen["Impersonate-Group"].ToString().Split(", ").SelectMany(v => v.Split(',')));
        Assert.Equal("u1", seen["Impersonate-Uid"]);
        Assert.Equal("a b", seen["Impersonate-Extra-example.com%2FScope"]);
        Assert.Equal("jané", seen["Impersonate-User"]);
    }

    [Theory]
    [InlineData("/../x")]
    [InlineData("/a/%2e%2e/x")]
    [InlineData("/a/.%2E/x")]
    [InlineData("//host/../x")]
    [InlineData("x")]
    [InlineData("/a#b")]
    public async Task Get_PathThatLeavesTheServer_IsRefused(string path)
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync("{}"));
        await using var client = new KubeClient(api.Connection);
        KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync(path).WaitAsync(Soon));
        Assert.Equal(KubeErrorKind.Invalid, failure.Kind);
        Assert.Empty(api.Calls);
    }

    [Fact]
    public async Task Get_ThrottledTwice_WaitsAsAskedAndTriesAgain()
    {
        var time = new ManualTimeProvider();
        int calls = 0;
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
        {
            if (Interlocked.Increment(ref calls) > 2)
            {
                return context.JsonAsync("{}");
            }

            context.Response.Headers.RetryAfter = "1";
            return context.JsonAsync("slow down", calls == 1 ? 429 : 503, "text/plain");
        });
        await using var client = new KubeClient(api.Connection, null, time, () => 1.0);
        int armed = time.ArmedCount;
        Task<KubeResponse> get = client.GetAsync("/x");
        await time.TimerArmed(armed + 2).WaitAsync(Soon);   // the deadline and the first wait
        time.Advance(TimeSpan.FromMilliseconds(1249));
        Assert.Single(api.Calls);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await time.TimerArmed(armed + 3).WaitAsync(Soon);
        time.Advance(TimeSpan.FromMilliseconds(1250));
        Assert.Equal(200, (await get.WaitAsync(Soon)).Status);
        Assert.Equal(3, api.Calls.Count);
    }

    [Theory]
    [InlineData("POST", "1", 1)]       // not idempotent
    [InlineData("GET", null, 1)]       // the server did not ask for it
    [InlineData("GET", "60", 1)]       // past the deadline
    public async Task Send_Throttled_IsNotRepeatedWhereItMustNot(string method, string? retryAfter, int calls)
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
        {
            context.Response.Headers.RetryAfter = retryAfter;
            return context.JsonAsync("no", 429, "text/plain");
        });
        await using var client = new KubeClient(api.Connection);
        KubeException failure = await Assert.ThrowsAsync<KubeException>(
            () => client.SendAsync(new HttpMethod(method), "/x", "{}"u8.ToArray(), "application/json").WaitAsync(Soon));
        Assert.Equal(KubeErrorKind.Throttled, failure.Kind);
        Assert.Equal(retryAfter is null ? null : TimeSpan.FromSeconds(int.Parse(retryAfter, System.Globalization.CultureInfo.InvariantCulture)), failure.Error.RetryAfter);
        Assert.Equal(calls, api.Calls.Count);
    }

    [Fact]
    public async Task Get_ServerThatNeverAnswers_EndsAtTheDeadline()
    {
        var time = new ManualTimeProvider();
        await using ScriptedApi api = await ScriptedApi.StartAsync((_, server) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, server.Stopping));
        await using var client = new KubeClient(api.Connection, null, time);
        Task<KubeResponse> get = client.GetAsync("/x");
        await api.CallsAsync(1);
        time.Advance(TimeSpan.FromSeconds(4.999));
        Assert.False(get.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.001));
        Assert.Equal(KubeErrorKind.Timeout, (await Assert.ThrowsAsync<KubeException>(() => get.WaitAsync(Soon))).Kind);
    }

    [Fact]
    public async Task Get_CancelledByTheCaller_StaysACancellation()
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((_, server) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, server.Stopping));
        await using var client = new KubeClient(api.Connection);
        using var stop = new CancellationTokenSource();
        Task<KubeResponse> get = client.GetAsync("/x", stop.Token);
        await api.CallsAsync(1);
        await stop.CancelAsync();
        _ = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => get.WaitAsync(Soon));
    }

    [Fact]
    public async Task Get_OverTheClientLimit_IsRefusedWithItsWait()
    {
        var time = new ManualTimeProvider();
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync("{}"));
        await using var client = new KubeClient(api.Connection, new KubeClientOptions { RequestsPerSecond = 0.1, Burst = 2 }, time);
        _ = await client.GetAsync("/1").WaitAsync(Soon);
        _ = await client.GetAsync("/2").WaitAsync(Soon);
        KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/3").WaitAsync(Soon));
        Assert.Equal((KubeErrorKind.Throttled, KubeErrorReasons.ClientLimit, TimeSpan.FromSeconds(10)), (failure.Kind, failure.Error.Reason, failure.Error.RetryAfter));
        Assert.Equal(ProbeOutcome.Healthy, (await client.ProbeAsync().WaitAsync(Soon)).Outcome);
        time.Advance(TimeSpan.FromSeconds(10));
        _ = await client.GetAsync("/4").WaitAsync(Soon);
        Assert.Equal(["GET /1", "GET /2", "GET /readyz", "GET /4"], api.Calls);
    }

    [Fact]
    public async Task Get_AnswerOverTheLimit_IsAProtocolError()
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync(async (context, _) =>
        {
            for (int i = 0; i < 5; i++)
            {
                await context.SendAsync(new string('x', 1024));
            }
        });
        await using var client = new KubeClient(api.Connection, new KubeClientOptions { MaxResponseBytes = 4096 });
        Assert.Equal(KubeErrorKind.Protocol, (await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon))).Kind);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":", KubeErrorKind.ConnectionRefused)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ab", KubeErrorKind.ConnectionRefused)]
    [InlineData("SSH-2.0-OpenSSH_9.6\r\n", KubeErrorKind.Protocol)]
    [InlineData("", KubeErrorKind.ConnectionRefused)]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", KubeErrorKind.Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", KubeErrorKind.Protocol)]
    public async Task Get_BrokenServer_HasItsKind(string bytes, KubeErrorKind kind)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task serving = ServeAsync(listener, bytes);
        await using (var client = new KubeClient(new ClusterConnection(new Uri($"http://{listener.LocalEndpoint}"))))
        {
            KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon));
            Assert.Equal(kind, failure.Kind);
        }

        listener.Stop();
        await serving.WaitAsync(Soon);
    }

    [Fact]
    public async Task Get_NobodyListens_IsRefused()
    {
        int port = FreePort();
        await using var client = new KubeClient(new ClusterConnection(new Uri($"http://127.0.0.1:{port}")));
        KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon));
        Assert.Equal(KubeErrorKind.ConnectionRefused, failure.Kind);
        Assert.Contains($"127.0.0.1:{port}", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_NameThatDoesNotResolve_SaysSo()
    {
        await using var client = new KubeClient(new ClusterConnection(new Uri("https://nowhere.invalid:6443")));
        Assert.Equal(KubeErrorKind.NameResolution, (await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon))).Kind);
    }

    [Fact]
    public async Task Get_TokenFileThatChanges_IsReadAgain()
    {
        var time = new ManualTimeProvider();
        var seen = new List<string>();
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
        {
            seen.Add(context.Request.Headers.Authorization.ToString());
            return seen[^1] == "Bearer dead" ? context.JsonAsync(ScriptedAnswers.Status(401, "Unauthorized", "Unauthorized"), 401) : context.JsonAsync("{}");
        });
        string path = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(path, "one\n");
            await using var client = new KubeClient(api.Connection with { Credentials = new KubeCredentials(null, new TokenSource.File(path)) }, null, time);
            _ = await client.GetAsync("/1").WaitAsync(Soon);
            await File.WriteAllTextAsync(path, "dead\n");
            time.Advance(TimeSpan.FromSeconds(6));
            Task<KubeResponse> refused = client.GetAsync("/2");
            Assert.Equal(KubeErrorKind.Unauthorized, (await Assert.ThrowsAsync<KubeException>(() => refused.WaitAsync(Soon))).Kind);
            await File.WriteAllTextAsync(path, "two\n");
            _ = await client.GetAsync("/3").WaitAsync(Soon);   // 401, read again, repeated at once
            Assert.Equal(["Bearer one", "Bearer dead", "Bearer dead", "Bearer two"], seen);

            File.Delete(path);   // between two renewals the old token serves
            time.Advance(TimeSpan.FromSeconds(6));
            _ = await client.GetAsync("/4").WaitAsync(Soon);
            Assert.Equal("Bearer two", seen[^1]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task Get_TokenFileThatIsMissing_NamesTheFile()
    {
        await using var client = new KubeClient(new ClusterConnection(new Uri("http://127.0.0.1:1"))
        {
            Credentials = new KubeCredentials(null, new TokenSource.File("/nowhere/token")),
        });
        KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon));
        Assert.Equal((KubeErrorKind.Unauthorized, KubeErrorReasons.CredentialSource), (failure.Kind, failure.Error.Reason));
        Assert.Contains("/nowhere/token", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReplaceCredentials_UnderARunningWatch_WatchGoesOnAndNewRequestsUseTheNew()
    {
        var seen = new System.Collections.Concurrent.ConcurrentQueue<string>();
        var proceed = new TaskCompletionSource();
        await using ScriptedApi api = await ScriptedApi.StartAsync(async (context, server) =>
        {
            seen.Enqueue($"{context.Request.Path} {context.Request.Headers.Authorization}");
            if (context.IsWatch())
            {
                await context.SendAsync("first");
                await proceed.Task.WaitAsync(server.Stopping);
                await context.SendAsync("second");
            }
        });
        await using var client = new KubeClient(api.Connection with { Credentials = KubeCredentials.Bearer("old") });
        await using KubeStream watch = await client.OpenAsync(KubeRequest.Get("/w?watch=true")).WaitAsync(Soon);
        byte[] buffer = new byte[16];
        Assert.Equal(5, await watch.Body.ReadAsync(buffer).AsTask().WaitAsync(Soon));
        client.ReplaceCredentials(api.Connection with { Credentials = KubeCredentials.Bearer("new") });
        _ = await client.GetAsync("/g").WaitAsync(Soon);
        proceed.SetResult();
        Assert.Equal(6, await watch.Body.ReadAsync(buffer).AsTask().WaitAsync(Soon));
        Assert.Equal(["/w Bearer old", "/g Bearer new"], seen);
    }

    [Fact]
    public async Task Get_WaveOf401s_EndsForEverybodyAndRenewsOnce()
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync(
            (context, _) => context.JsonAsync(ScriptedAnswers.Status(401, "Unauthorized", "Unauthorized"), 401));
        string path = Path.GetTempFileName();
        await File.WriteAllTextAsync(path, "dead");
        try
        {
            await using var client = new KubeClient(
                api.Connection with { Credentials = new KubeCredentials(null, new TokenSource.File(path)) }, new KubeClientOptions { Burst = 1000 });
            KubeErrorKind[] kinds = await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
                (await Assert.ThrowsAsync<KubeException>(() => client.GetAsync($"/{i}"))).Kind)).WaitAsync(Soon);
            Assert.All(kinds, kind => Assert.Equal(KubeErrorKind.Unauthorized, kind));
            Assert.Equal(200, api.Calls.Count);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task SlowMember_DoesNotDelayAnotherMembersClient()
    {
        await using ScriptedApi slow = await ScriptedApi.StartAsync((_, server) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, server.Stopping));
        await using ScriptedApi quick = await ScriptedApi.StartAsync((context, _) => context.JsonAsync("{}"));
        await using var slowClient = new KubeClient(slow.Connection, new KubeClientOptions { MaxConnections = 4 });
        await using var quickClient = new KubeClient(quick.Connection);
        using var stop = new CancellationTokenSource();
        Task[] stuck = [.. Enumerable.Range(0, 50).Select(i => slowClient.GetAsync($"/{i}", stop.Token))];
        for (int i = 0; i < 50; i++)
        {
            _ = await quickClient.GetAsync("/x").WaitAsync(Soon);
        }

        Assert.DoesNotContain(stuck, task => task.IsCompleted);
        await stop.CancelAsync();
        _ = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(stuck).WaitAsync(Soon));
    }

    [Fact]
    public async Task Forward_ForeignHeaders_CannotSpeakForUs()
    {
        IHeaderDictionary? seen = null;
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
        {
            seen = new HeaderDictionary(context.Request.Headers.ToDictionary(h => h.Key, h => h.Value));
            return context.JsonAsync("missing", 404, "text/plain");
        });
        await using var client = new KubeClient(api.Connection with { Credentials = KubeCredentials.Bearer("ours") });
        using var request = new HttpRequestMessage(HttpMethod.Post, (Uri?)null) { Content = new StringContent("body") };
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer theirs");
        request.Headers.TryAddWithoutValidation("Impersonate-User", "root");
        request.Headers.TryAddWithoutValidation("X-Other", "kept");
        using ForwardedAnswer answer = await client.ForwardAsync(request, "/api/v1/x?y=1").WaitAsync(Soon);
        Assert.Equal(HttpStatusCode.NotFound, answer.Message.StatusCode);
        Assert.Equal("missing", await answer.Message.Content.ReadAsStringAsync().WaitAsync(Soon));
        Assert.Equal(("Bearer ours", "", "kept"), (seen!.Authorization.ToString(), seen["Impersonate-User"].ToString(), seen["X-Other"].ToString()));
        Assert.Equal(["POST /api/v1/x?y=1"], api.Calls);
    }

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task ServeAsync(TcpListener listener, string bytes)
    {
        while (true)
        {
            TcpClient peer;
            try
            {
                peer = await listener.AcceptTcpClientAsync();
            }
            catch (SocketException)
            {
                return;   // stopped
            }

            using (peer)
            {
                NetworkStream stream = peer.GetStream();
                byte[] request = new byte[4096];
                _ = await stream.ReadAsync(request);
                await stream.WriteAsync(Encoding.ASCII.GetBytes(bytes));
                peer.Client.Shutdown(SocketShutdown.Send);
            }
        }
    }
}
