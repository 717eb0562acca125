using MultiCluster.Gateway.Security;
using MultiCluster.Silo.Engines;

namespace MultiCluster.Silo.Hosting;

/// <summary>What a process with an API holds: its certificates and the admin token.</summary>
internal sealed class ServiceSecrets : IDisposable
{
    // The serving certificate is each process's own, because its names are; what clients keep is the service's.
    private static readonly string[] Shared = ["ca.crt", "ca.key", "admin-token"];

    private ServiceSecrets(ServingCertificates certificates, AdminToken token, bool isFirstStart)
    {
        Certificates = certificates;
        Token = token;
        IsFirstStart = isFirstStart;
    }

    public ServingCertificates Certificates { get; }

    public AdminToken Token { get; }

    public bool IsFirstStart { get; }

    /// <summary>Reads them from the directory, or creates what is missing there and in the whole service.</summary>
    public static async Task<ServiceSecrets> OpenAsync(EngineSetup engine, string directory, IReadOnlyCollection<string> names, CancellationToken cancellationToken)
    {
        ServiceSecrets? opened = null;
        await engine.ShareFilesAsync(
            Shared,
            () =>
            {
                ServingCertificates certificates = ServingCertificates.LoadOrCreate(directory, names, TimeProvider.System);
                AdminToken token = AdminToken.LoadOrCreate(directory, out bool created);
                opened = new ServiceSecrets(certificates, token, created);
            },
            cancellationToken);
        return opened!;
    }

    public void Dispose() => Certificates.Dispose();
}
