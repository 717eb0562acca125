using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Configuration;
using MultiCluster.Silo.Hosting;
using MultiCluster.Silo.Tests.Database;
using MultiCluster.TestSupport;

namespace MultiCluster.Silo.Tests.Hosting;

/// <summary>What each role shows its operators: what it waits for, and its figures.</summary>
[Collection(DatabaseCollection.Name)]
public sealed class RoleTests(PostgresServer server)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task All_Ready_SaysFleet()
    {
        await using Process all = await Process.StartAsync(ServiceRole.All);

        Assert.Equal((HttpStatusCode.OK, "[+] fleet ok\nready\n"), await all.UntilReadyzAsync(text => text.StartsWith("[+]", StringComparison.Ordinal)));
        string metrics = await all.MetricsAsync();
        Assert.Contains("multicluster_grain_activations{grain_type=\"fleet\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("multicluster_grain_calls_total{grain_type=\"fleet\",method=\"watch\",outcome=\"ok\"} 1\n", metrics, StringComparison.Ordinal);
    }

    [RolesFact]
    public async Task GatewayAndSilo_EachSaysWhatItLacks_AndShowsItsFigures()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await using Process gateway = await Process.StartAsync(ServiceRole.Gateway, database);
        (HttpStatusCode status, string text) = await gateway.UntilReadyzAsync(text => text.Contains("no silo answers", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("[+] database ok\n", text, StringComparison.Ordinal);
        Assert.Contains("[-] fleet has not been heard of yet: no silo answers; see whether one runs and can be reached from here\n", text, StringComparison.Ordinal);
        Assert.EndsWith("not ready\n", text, StringComparison.Ordinal);

        await using (Process silo = await Process.StartAsync(ServiceRole.Silo, database))
        {
            Assert.Equal((HttpStatusCode.OK, "[+] clock ok\n[+] database ok\nready\n"), await silo.ReadyzAsync());
            await gateway.UntilReadyzAsync(text => text.Contains("[+] fleet ok\n", StringComparison.Ordinal));
            await gateway.StartedAsync();
            Assert.Equal(HttpStatusCode.NotFound, await gateway.RemoveAsync("nobody"));
            string ofSilo = await silo.MetricsAsync();
            Assert.Contains("multicluster_grain_activations{grain_type=\"fleet\"} 1\n", ofSilo, StringComparison.Ordinal);
            Assert.Contains("multicluster_grain_calls_total{grain_type=\"fleet\",method=\"watch\",outcome=\"ok\"} 1\n", ofSilo, StringComparison.Ordinal);
            Assert.Contains("multicluster_grain_call_duration_seconds_count{grain_type=\"cluster\",method=\"remove\"} 1\n", ofSilo, StringComparison.Ordinal);
            string ofGateway = await gateway.MetricsAsync();
            Assert.Contains("multicluster_grain_mailbox{grain_type=\"cluster\"} 0\n", ofGateway, StringComparison.Ordinal);
            Assert.DoesNotContain("multicluster_grain_activations", ofGateway, StringComparison.Ordinal);
        }

        (_, text) = await gateway.UntilReadyzAsync(text => text.Contains("[-] fleet", StringComparison.Ordinal));
        Assert.Contains("[-] fleet has not been heard of for ", text, StringComparison.Ordinal);
    }

    private sealed class RolesFactAttribute : FactAttribute
    {
        public RolesFactAttribute() =>
            Skip = MultiCluster.Silo.Engines.EngineSetup.Name == "Orleans" ? PostgresServer.SkipReason : "Several processes need the build with -p:Engine=Orleans.";
    }

    private sealed class Process(Service service, DirectoryInfo data, int operations) : IAsyncDisposable
    {
        private readonly HttpClient _operators = new() { BaseAddress = new Uri($"http://127.0.0.1:{operations}"), Timeout = Patience };
        private readonly CancellationTokenSource _stop = new();
        private Task _started = Task.CompletedTask;

        public static async Task<Process> StartAsync(ServiceRole role, TestDatabase? database = null)
        {
            DirectoryInfo data = Directory.CreateTempSubdirectory("mc-role-");
            int operations = FreePort();
            Dictionary<string, string?> configuration = new(StringComparer.Ordinal)
            {
                ["SiloNetwork:ListenSilo"] = "127.0.0.1:0",
                ["SiloNetwork:ListenGateway"] = "127.0.0.1:0",
                ["SiloNetwork:Dashboard"] = "false",
                ["Database:ConnectionString"] = database?.Settings.ConnectionString,
            };
            Service service = await Service.CreateAsync(
                new ServiceSettings { Role = role, Listen = "127.0.0.1:0", ListenMetrics = $"127.0.0.1:{operations}", DataDirectory = data.FullName },
                new ConfigurationBuilder().AddInMemoryCollection(configuration).Build());
            var process = new Process(service, data, operations);
            process._started = service.StartAsync(process._stop.Token);
            if (role != ServiceRole.Gateway)
            {
                await process.StartedAsync();
            }

            return process;
        }

        /// <summary>A gateway has started when it has found a silo.</summary>
        public Task StartedAsync() => _started.WaitAsync(Patience);

        public async Task<(HttpStatusCode Status, string Text)> ReadyzAsync()
        {
            using HttpResponseMessage answer = await _operators.GetAsync("/readyz");
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }

        public async Task<(HttpStatusCode Status, string Text)> UntilReadyzAsync(Func<string, bool> wish)
        {
            long start = TimeProvider.System.GetTimestamp();
            while (true)
            {
                string text = "nothing";
                try
                {
                    (HttpStatusCode status, text) = await ReadyzAsync();
                    if (wish(text))
                    {
                        return (status, text);
                    }
                }
                catch (HttpRequestException e)
                {
                    text = e.Message;   // does not listen yet
                }

                Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"/readyz still answers {text}");
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
            }
        }

        public Task<string> MetricsAsync() => _operators.GetStringAsync("/metrics");

        public async Task<HttpStatusCode> RemoveAsync(string cluster)
        {
            using var authority = X509Certificate2.CreateFromPem(service.AuthorityPem);
            using var handler = new SocketsHttpHandler
            {
                SslOptions = new SslClientAuthenticationOptions
                {
                    CertificateChainPolicy = new X509ChainPolicy
                    {
                        TrustMode = X509ChainTrustMode.CustomRootTrust,
                        CustomTrustStore = { authority },
                        RevocationMode = X509RevocationMode.NoCheck,
                    },
                },
            };
            using var client = new HttpClient(handler) { BaseAddress = service.Address, Timeout = Patience };
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", service.Token.Value);
            using HttpResponseMessage answer = await client.DeleteAsync($"/v1/clusters/{cluster}");
            return answer.StatusCode;
        }

        private static int FreePort()
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            return ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        public async ValueTask DisposeAsync()
        {
            _operators.Dispose();
            if (_started.IsCompleted)
            {
                await service.App.StopAsync().WaitAsync(Patience);
            }
            else
            {
                await _stop.CancelAsync();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(StartedAsync);
            }

            _stop.Dispose();
            await service.DisposeAsync();
            data.Delete(recursive: true);
        }
    }
}
