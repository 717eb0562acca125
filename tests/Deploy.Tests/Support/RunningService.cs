using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using MultiCluster.Silo.Hosting;

namespace MultiCluster.Deploy.Tests.Support;

/// <summary>The service on loopback, with a data directory of its own, called as operators call it.</summary>
internal sealed class RunningService : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly DirectoryInfo _data;
    private readonly Service _service;
    private readonly HttpClient _http;
    private readonly HttpClient _operations;

    private RunningService(DirectoryInfo data, Service service)
    {
        _data = data;
        _service = service;
        var authority = X509Certificate2.CreateFromPem(service.AuthorityPem);
        _http = new HttpClient(new SocketsHttpHandler
        {
            SslOptions =
            {
                CertificateChainPolicy = new X509ChainPolicy
                {
                    TrustMode = X509ChainTrustMode.CustomRootTrust,
                    CustomTrustStore = { authority },
                    RevocationMode = X509RevocationMode.NoCheck,
                },
            },
        })
        { BaseAddress = service.Address, Timeout = Patience };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", service.Token.Value);
        _operations = new HttpClient { BaseAddress = service.OperationsAddress, Timeout = Patience };
    }

    /// <param name="settings">Over the defaults, such as <c>("Health:ProbeInterval", "00:00:00.2")</c>.</param>
    public static async Task<RunningService> StartAsync(params (string Key, string Value)[] settings)
    {
        DirectoryInfo data = Directory.CreateTempSubdirectory("mc-deploy-service-");
        var service = await Service.CreateAsync(
            new ServiceSettings { Listen = "127.0.0.1:0", ListenMetrics = "127.0.0.1:0", DataDirectory = data.FullName },
            configure: builder =>
            {
                builder.Logging.ClearProviders();
                builder.Configuration.AddInMemoryCollection(settings.Select(s => KeyValuePair.Create<string, string?>(s.Key, s.Value)));
            });
        await service.StartAsync(CancellationToken.None).WaitAsync(Patience);
        return new RunningService(data, service);
    }

    public async Task<(int Status, JsonNode Answer)> RegisterAsync(object registration)
    {
        using HttpResponseMessage answer = await _http.PostAsJsonAsync("/v1/clusters", registration);
        return ((int)answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync())!);
    }

    public async Task<JsonNode> GetAsync(string path) => JsonNode.Parse(await _http.GetStringAsync(path))!;

    public Task<string> MetricsAsync() => _operations.GetStringAsync("/metrics");

    /// <summary>Asks until the answer is as wished, or patience ends; the last answer is in the message then.</summary>
    public static async Task<T> UntilAsync<T>(Func<Task<T>> ask, Func<T, bool> wish)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            T answer = await ask();
            if (wish(answer))
            {
                return answer;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"Still: {answer}");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        _operations.Dispose();
        await _service.App.StopAsync().WaitAsync(Patience);
        await _service.DisposeAsync();
        _data.Delete(recursive: true);
    }
}
