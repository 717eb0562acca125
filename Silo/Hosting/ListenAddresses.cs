using System.Net;
using System.Net.Sockets;

namespace MultiCluster.Silo.Hosting;

/// <summary>Where the service is to listen.</summary>
/// <param name="Api">Address of the API; null for none.</param>
/// <param name="Operations">Address of health and metrics; null for none.</param>
internal sealed record ListenAddresses(IPEndPoint? Api, IPEndPoint? Operations)
{
    /// <summary>Tries the addresses out, so that a start that cannot succeed says which of them is at fault.</summary>
    /// <remarks>Somebody may take a port between this and the start; the start fails then, with less of an explanation.</remarks>
    /// <exception cref="ServiceStartException">One cannot be listened on.</exception>
    public void Check()
    {
        if (Api is not null)
        {
            Check(Api, "--listen");
        }

        if (Operations is not null)
        {
            Check(Operations, "--listen-metrics");
        }
    }

    private static void Check(IPEndPoint address, string option)
    {
        try
        {
            using var listener = new TcpListener(address);
            listener.Start();
        }
        catch (SocketException e)
        {
            throw new ServiceStartException(e.SocketErrorCode switch
            {
                SocketError.AddressAlreadyInUse => $"{address} is taken by another process; choose another with {option} (port 0 takes a free one).",
                SocketError.AddressNotAvailable => $"{address.Address} is no address of this machine; choose one that is with {option}, or 0.0.0.0 for all.",
                SocketError.AccessDenied => $"This user may not listen on port {address.Port}; choose one above 1023 with {option}.",
                _ => $"{address} cannot be listened on ({e.SocketErrorCode}); choose another with {option}.",
            });
        }
    }
}
