using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Configuration;

namespace MultiCluster.Grains.Cluster;

/// <summary>Turns connections into the form in which they travel and rest, and back. Thread-safe.</summary>
/// <remarks>The keys are those of ASP.NET Core Data Protection: whoever loses them registers the credentials anew.</remarks>
public sealed class ConnectionVault(IDataProtectionProvider keys)
{
    private readonly IDataProtector _protector = keys.CreateProtector(ProtectedConnection.Purpose);

    /// <summary>Encrypts a connection.</summary>
    public ProtectedConnection Protect(ClusterConnection connection)
    {
        ArgumentNullException.ThrowIfNull(connection);
        byte[] clear = connection.ToJson();
        try
        {
            return new ProtectedConnection { Ciphertext = _protector.Protect(clear) };
        }
        finally
        {
            CryptographicOperations.ZeroMemory(clear);
        }
    }

    /// <summary>Decrypts a connection.</summary>
    /// <param name="sealedConnection">The encrypted form.</param>
    /// <param name="connection">The connection; null where it cannot be read.</param>
    /// <param name="fault">Why it cannot be read, without a word of its content.</param>
    public bool TryOpen(
        ProtectedConnection? sealedConnection,
        [NotNullWhen(true)] out ClusterConnection? connection,
        [NotNullWhen(false)] out ClusterFault? fault)
    {
        try
        {
            byte[] clear = _protector.Unprotect(sealedConnection?.Ciphertext ?? []);
            try
            {
                connection = ClusterConnection.FromJson(clear);
                fault = null;
                return true;
            }
            finally
            {
                CryptographicOperations.ZeroMemory(clear);
            }
        }
        catch (Exception e) when (e is CryptographicException or FormatException)
        {
            connection = null;
            fault = new ClusterFault(
                ClusterFault.CredentialsUnreadable,
                "The credentials cannot be decrypted with this service's keys; put the keys back into the data directory, or replace the credentials.",
                "connection");
            return false;
        }
    }
}
